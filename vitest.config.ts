import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** The local mirror of backbones beside the checkout, where there is one; a mirror that the caller names wins. */
const mirror = fileURLToPath(new URL("../shared/models", import.meta.url));
if (!process.env.PROTOLINE_MIRROR && existsSync(mirror)) process.env.PROTOLINE_MIRROR = mirror;

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores: more files at once only makes each of them slower, and the timings in them wrong.
    maxWorkers: 2,
    passWithNoTests: false,
  },
});
