import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The local mirror of backbones beside the checkout, where there is one; a mirror that the caller names wins. */
const mirror = fileURLToPath(new URL("../shared/models", import.meta.url));
if (!process.env.PROTOLINE_MIRROR && existsSync(mirror)) process.env.PROTOLINE_MIRROR = mirror;

/** Begun first, so that none of them is left to run alone at the end; longest first. */
const longest = [
  "soak",
  "replicas-kill",
  "serve-faults",
  "cli-operations",
  "replicas",
  "cli",
  "package",
  "jobs",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = longest.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return at < 0 ? longest.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores: more files at once only makes each of them slower, and the timings in them wrong.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    passWithNoTests: false,
  },
});
