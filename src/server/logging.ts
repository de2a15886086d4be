import type { FastifyRequest, FastifyServerOptions } from "fastify";

/** Names of fields whose values are secrets, wherever they stand in a logged object, down to three levels. */
const secretFields = [
  ...["authorization", "cookie", "set-cookie", "x-api-key", "proxy-authorization"],
  ...["key", "apiKey", "token", "secret", "password"],
];

/** Patterns of secrets in any text: API keys, tokens, passwords in addresses, and query values with such a name. */
const patterns: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/protoline_[\w-]{16,}/g, "[key]"],
  [/eyJ[\w-]+\.[\w-]*\.[\w-]*/g, "[token]"],
  [/\b(bearer|basic)\s+[\w.~+/=-]+/gi, "$1 [secret]"],
  [/(:\/\/)[^\s/:@"]*:[^\s/@"]+@/g, "$1[secret]@"],
  [/([?&](?:[\w-]*(?:key|token|secret|password|authorization|signature))=)[^&\s"\\]+/gi, "$1[secret]"],
];

/** A line of the log without what looks like a secret. It is JSON before and after. */
export function withoutSecrets(line: string): string {
  return patterns.reduce((text, [pattern, instead]) => text.replace(pattern, instead), line);
}

const paths = secretFields.flatMap((field) =>
  ["", "*.", "*.*."].map((depth) =>
    /^\w+$/.test(field) ? `${depth}${field}` : `${depth.replace(/\.$/, "")}["${field}"]`,
  ),
);

/**
 * Fastify's logger so that no secret reaches it: fields by their name, then what is left in texts by its form, as
 * a reason, an address or an error of a driver may hold one.
 */
export function guardedLogger(
  logger: FastifyServerOptions["logger"],
): NonNullable<FastifyServerOptions["logger"]> {
  if (!logger) return false;
  const given = logger === true ? {} : logger;
  return {
    ...given,
    redact: { paths, censor: "[secret]" },
    hooks: { streamWrite: withoutSecrets },
    serializers: {
      req: ({ method, url, ip, routeOptions }: FastifyRequest) => ({
        method,
        url,
        route: routeOptions?.url,
        remoteAddress: ip,
      }),
      ...given.serializers,
    },
  };
}
