import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { ProtolineError, quote } from "../core/index.ts";
import { type ApiKeyRecord, type ApiScope, apiScopes, type GalleryStore } from "../store/store.ts";

const prefix = "protoline_";

/** SHA-256, lower-case hex. A key has 256 random bits, so a slow password hash would add nothing. */
export function hashApiKey(key: string): string {
  return createHash("sha256").update(key, "utf8").digest("hex");
}

/**
 * A new key and the record to keep of it (`store.putApiKey(record)`). The key itself is not in the record:
 * show it once.
 *
 * @throws INVALID_ARGUMENT for a name that is empty or longer than 64 characters, and for scopes that do not exist.
 */
export function createApiKey({ name, scopes }: { name: string; scopes: readonly ApiScope[] }): {
  readonly key: string;
  readonly record: ApiKeyRecord;
} {
  if (!/^[^\p{C}]{1,64}$/u.test(name))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a name of 1 to 64 characters for the key",
      got: quote(name),
      todo: "Name the key after the person or machine that will use it; changes are recorded under that name.",
    });
  const wrong = scopes.find((scope) => !apiScopes.includes(scope));
  if (scopes.length === 0 || wrong !== undefined)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: `one or more of the scopes ${apiScopes.join(", ")}`,
      got: wrong === undefined ? "none" : quote(String(wrong)),
      todo: "Give the key the scopes that it needs and no more.",
    });
  const key = prefix + randomBytes(32).toString("base64url");
  return {
    key,
    record: {
      id: randomBytes(6).toString("hex"),
      name,
      hash: hashApiKey(key),
      scopes: [...new Set(scopes)],
      created: Date.now(),
    },
  };
}

/**
 * The keys of the store, read again at most once a second: a key that is removed stops working within that time. While
 * the store does not answer, the keys that it last named go on working for ten minutes, so that a line does not stand
 * still because a database starts anew. One that says nothing at all is waited for by one request, for 250 ms; from then
 * on requests go by the last keys until it answers again.
 */
export interface Keyring {
  /** Whether callers must say who they are: the store holds a key, or people come with tokens. */
  inUse(): Promise<boolean>;
  /** The record of a key, or `null` for a key that is not in the store. */
  find(key: string): Promise<ApiKeyRecord | null>;
}

export function createKeyring(
  store: Pick<GalleryStore, "apiKeys">,
  {
    freshMs = 1000,
    patienceMs = 250,
    staleMs = 600_000,
    tokens = false,
  }: {
    readonly freshMs?: number;
    readonly patienceMs?: number;
    readonly staleMs?: number;
    readonly tokens?: boolean;
  } = {},
): Keyring {
  let records: readonly ApiKeyRecord[] = [];
  let [triedAt, readAt] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  /** The reading under way, and whether it was waited for in vain. */
  let reading: Promise<void> | null = null;
  let late = false;
  const begin = async (): Promise<void> => {
    try {
      records = await store.apiKeys();
      readAt = performance.now();
    } finally {
      reading = null;
      late = false;
    }
  };
  const read = async (): Promise<readonly ApiKeyRecord[]> => {
    const now = performance.now();
    const usable = now - readAt < staleMs;
    if (usable && (late || now - triedAt < freshMs)) return records;
    triedAt = now;
    reading ??= begin();
    if (!usable) await reading;
    else {
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(() => {
          late = reading !== null;
          resolve();
        }, patienceMs);
      });
      await Promise.race([reading.catch(() => undefined), patience]);
      clearTimeout(timer);
    }
    return records;
  };
  return {
    inUse: async () => tokens || (await read()).length > 0,
    find: async (key) => {
      const hash = Buffer.from(hashApiKey(key), "hex");
      let found: ApiKeyRecord | null = null;
      // Every record is compared, in constant time, so that the time taken says nothing about the keys.
      for (const record of await read()) {
        const known = Buffer.from(record.hash, "hex");
        if (known.length === hash.length && timingSafeEqual(known, hash)) found = record;
      }
      return found;
    },
  };
}
