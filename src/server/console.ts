import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { App } from "./context.ts";

/** The console's own files and nothing else: no inline script or style, no eval, no other address. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join(";");

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".jpg": "image/jpeg",
};
const compressible = new Set([".html", ".js", ".css", ".svg", ".json", ".txt"]);

/** The folder of the built console, in the package or in a checkout; `null` where it was not built. */
export function findConsole(): string | null {
  const folders = ["../console/", "../../dist/console/"].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  return folders.find((folder) => existsSync(join(folder, "index.html"))) ?? null;
}

/**
 * Serves the console at `/`. Its few files are read once, each gets a route of its own: no path of a request ever
 * becomes one of the disk.
 */
export function consoleRoutes(app: App, folder: string): void {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8", withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  for (const file of files) {
    const end = extname(file);
    const bytes = readFileSync(file);
    const path = file.slice(join(folder, "/").length).replaceAll("\\", "/");
    // Names of assets hold the hash of their content.
    const lasting = path.startsWith("assets/");
    let packed: Buffer | undefined;
    const url = path === "index.html" ? "/" : `/${path}`;
    app.get(url, { config: { scope: null, rateLimit: false }, schema: { hide: true } }, (request, reply) => {
      reply
        .type(types[end] ?? "application/octet-stream")
        .header("cache-control", lasting ? "public, max-age=31536000, immutable" : "no-cache")
        .header("content-security-policy", policy)
        .header("permissions-policy", "camera=(self), microphone=(), geolocation=()");
      if (!compressible.has(end)) return reply.send(bytes);
      reply.header("vary", "accept-encoding");
      if (!/\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""))) return reply.send(bytes);
      packed ??= gzipSync(bytes, { level: 9 });
      return reply.header("content-encoding", "gzip").send(packed);
    });
  }
}
