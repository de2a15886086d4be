import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import tailwind from "@tailwindcss/vite";
import { build } from "vite";
import { drawPart, type PartKind } from "../src/cli/demo/parts.ts";
import { createRng } from "../src/core/index.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What the sample enrolls, and what its line shows: those parts again and one that nobody taught. */
const taught = ["washer", "gear", "bracket"] as const satisfies readonly PartKind[];
const shown = [...taught, "motor housing"] as const satisfies readonly PartKind[];
const shots = 6;
const frames = 8;

/** Pictures of the sample and `sample.json`, which names them. */
async function drawSample(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const rng = createRng(8);
  const draw = async (kind: PartKind, count: number, what: string): Promise<string[]> => {
    const names: string[] = [];
    for (let i = 1; i <= count; i++) {
      const name = `${what}-${kind.replaceAll(" ", "-")}-${i}.jpg`;
      await writeFile(join(folder, name), await drawPart(kind, rng));
      names.push(name);
    }
    return names;
  };
  const classes: { label: string; files: string[] }[] = [];
  for (const label of taught) classes.push({ label, files: await draw(label, shots, "part") });
  const line: string[][] = [];
  for (const label of shown) line.push(await draw(label, frames, "frame"));
  // One part after another, as they come on a belt.
  const mixed = Array.from({ length: frames }, (_, i) => line.map((files) => files[i]!)).flat();
  await writeFile(join(folder, "sample.json"), JSON.stringify({ classes, frames: mixed }));
}

/** Builds the console: static files for `protoline serve`, in `dist/console/` or the folder that is given. */
export async function buildConsole(out: string): Promise<void> {
  await rm(out, { recursive: true, force: true });
  await build({
    root: join(root, "web/console"),
    configFile: false,
    // Works under any path, as behind a proxy.
    base: "./",
    plugins: [tailwind()],
    logLevel: "warn",
    worker: { format: "es" },
    build: {
      outDir: out,
      emptyOutDir: true,
      target: ["chrome123", "firefox128", "safari17.5"],
      // The policy of the page allows no data: address.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
  });
  await drawSample(join(out, "sample"));
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await buildConsole(process.argv[2] ?? join(root, "dist/console"));
