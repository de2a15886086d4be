import { createHmac } from "node:crypto";
import { ProtolineError } from "../../core/index.ts";
import type { SinkSpec } from "../config.ts";
import { type LineResult, type Message, Refused, type Sink } from "../types.ts";

const patienceMs = 10_000;

/**
 * Each message as an HTTP POST of JSON, signed as Standard Webhooks does (standardwebhooks.com): the header
 * `webhook-signature` is `v1,` and the base64 HMAC-SHA256 of `ID.TIMESTAMP.BODY`, whose parts `webhook-id` and
 * `webhook-timestamp` (seconds) repeat. A reply of 2xx is taken as received; 4xx, except 408 and 429, as refused.
 */
export function webhookSink<Written extends Message = LineResult>(
  { url, secretEnv }: Omit<Extract<SinkSpec, { kind: "webhook" }>, "kind">,
  env: Readonly<Record<string, string | undefined>>,
): Sink<Written> {
  const target = (): { readonly address: URL; readonly secret: string } => {
    const address = URL.canParse(url) ? new URL(url) : null;
    if (address?.protocol !== "http:" && address?.protocol !== "https:")
      throw wrong("http://… or https://…", url);
    const secret = env[secretEnv];
    if (!secret) throw wrong(`a secret in the environment variable ${secretEnv}`, "none");
    return { address, secret };
  };
  return {
    name: `webhook ${URL.canParse(url) ? new URL(url).origin : url}`,
    async check() {
      const { address } = target();
      // Nothing is posted: a receiver that acts on results must not act on a check.
      return `${address.origin} (not asked)`;
    },
    async write(result) {
      const { address, secret } = target();
      const body = JSON.stringify(result);
      const timestamp = String(Math.floor(Date.now() / 1000));
      const signature = createHmac("sha256", secret)
        .update(`${result.id}.${timestamp}.${body}`)
        .digest("base64");
      const response = await fetch(address, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "webhook-id": result.id,
          "webhook-timestamp": timestamp,
          "webhook-signature": `v1,${signature}`,
        },
        body,
        redirect: "error",
        signal: AbortSignal.timeout(patienceMs),
      });
      await response.body?.cancel();
      if (response.ok) return;
      const { status } = response;
      const reason = `${address.origin} replied ${status}`;
      throw status >= 400 && status < 500 && status !== 408 && status !== 429
        ? new Refused(reason)
        : new Error(reason);
    },
    close: async () => undefined,
  };
}

const wrong = (expected: string, got: string): ProtolineError =>
  new ProtolineError("LINE_INVALID", { expected, got, todo: "Correct the webhook of the line." });
