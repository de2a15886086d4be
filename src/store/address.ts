import { ProtolineError, quote } from "../core/index.ts";

/** The address as it may be printed: without what stands before the host, which may hold a password. */
export function withoutPassword(address: string): string {
  // To the last @: a password that is not encoded may hold one, and so may hold a slash.
  return address
    .replace(/^([a-z0-9+]+:\/\/).*@/is, "$1***@")
    .replace(/([?&](?:password|sslpassword)=)[^&]*/gi, "$1***");
}

export interface ServerAddress {
  /** For the library that connects, without the parameter. */
  readonly url: string;
  /** For people: `postgres://host:5432/parts`, without user and password. */
  readonly shown: string;
  /** The query parameter that says which part of the server is meant. */
  readonly part: string;
}

/** Takes a server's address apart. Throws INVALID_ARGUMENT. */
export function serverAddress(
  address: string,
  part: { readonly name: string; readonly fallback: string; readonly pattern: RegExp; readonly rule: string },
): ServerAddress {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "an address such as postgres://user:password@host:5432/database or redis://host:6379/0",
      got: quote(withoutPassword(address), 200),
      todo: "Write @, /, : and % in a user's name or password as %40, %2F, %3A and %25.",
    });
  }
  const value = url.searchParams.get(part.name) ?? part.fallback;
  if (!part.pattern.test(value))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: `${part.rule} as ${part.name} of the store's address`,
      got: quote(value),
      todo: `Choose another ${part.name}.`,
    });
  url.searchParams.delete(part.name);
  return { url: url.href, shown: `${url.protocol}//${url.host}${url.pathname}`, part: value };
}
