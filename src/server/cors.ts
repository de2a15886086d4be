import cors from "@fastify/cors";
import type { FastifyInstance } from "fastify";
import { ProtolineError, quote } from "../core/index.ts";

/**
 * Lets pages of other sites call the server from a browser: those origins alone, never all, and never with cookies,
 * of which the server has none. Without a list no reply names an origin, and browsers keep its pages apart.
 *
 * @throws INVALID_ARGUMENT for what is no origin, such as `*`, an address with a path, or `null`.
 */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  for (const origin of origins) {
    const url = URL.canParse(origin) ? new URL(origin) : null;
    if (!url || !/^https?:$/.test(url.protocol) || url.origin !== origin)
      throw new ProtolineError("INVALID_ARGUMENT", {
        expected: "an origin such as https://console.example.com, without a path or a slash at its end",
        got: quote(origin),
        todo: "Name each origin as the browser shows it; all origins at once are not let in.",
      });
  }
  if (origins.length === 0) return;
  app.register(cors, {
    origin: [...origins],
    methods: ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"],
    allowedHeaders: ["authorization", "x-api-key", "content-type"],
    exposedHeaders: ["retry-after", "x-request-id", "content-disposition"],
    maxAge: 600,
    strictPreflight: true,
  });
}
