import { readFileSync } from "node:fs";

/** Protoline's version, from the package beside `src` or `dist`. */
export function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
