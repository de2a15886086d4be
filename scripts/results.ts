import { execFileSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** A table of results: printed, and kept in docs/results as Markdown and as JSON with how it was made. */
export interface Results {
  /** Name of the files. */
  readonly name: string;
  /** Name of the script. Default `name`. */
  readonly script?: string;
  /** Where it lies. Default `scripts`. */
  readonly folder?: "scripts" | "bench";
  readonly title: string;
  /** Paragraphs before the tables. */
  readonly about: readonly string[];
  readonly tables: readonly {
    readonly title?: string;
    readonly columns: readonly string[];
    readonly rows: readonly (readonly string[])[];
    readonly notes?: readonly string[];
  }[];
  readonly seed: number;
  readonly data: unknown;
}

const folder = new URL("../docs/results/", import.meta.url);

export async function publish({
  name,
  script = name,
  folder: home = "scripts",
  title,
  about,
  tables,
  seed,
  data,
}: Results): Promise<void> {
  const made = await howMade(`${home}/${script}.ts`);
  const parts = [`# ${title}`, ...about];
  for (const { title: heading, columns, rows, notes = [] } of tables) {
    if (heading !== undefined) parts.push(`## ${heading}`);
    parts.push(
      [columns, columns.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n"),
      ...notes,
    );
  }
  parts.push(
    `Made by \`${made.command}\`, seed ${seed}, on ${made.date} with ${made.machine}; ${made.versions}.`,
  );
  const text = `${parts.join("\n\n")}\n`;
  await mkdir(folder, { recursive: true });
  await writeFile(new URL(`${name}.md`, folder), text);
  await writeFile(new URL(`${name}.json`, folder), `${JSON.stringify({ ...made, seed, data }, null, 1)}\n`);
  console.log(text);
}

async function howMade(path: string) {
  const read = async (path: string): Promise<{ version: string }> =>
    JSON.parse(await readFile(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8"));
  const [own, runtime, sharp] = await Promise.all(
    ["package.json", "node_modules/onnxruntime-node/package.json", "node_modules/sharp/package.json"].map(
      read,
    ),
  );
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  const options = process.argv.slice(2).join(" ");
  return {
    command: `npx tsx ${path}${options === "" ? "" : ` ${options}`}`,
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} cores of ${(cpus()[0]?.model ?? "an unnamed processor").trim()}`,
    versions: `protoline ${own!.version} at ${commit}, Node ${process.versions.node}, onnxruntime-node ${runtime!.version}, sharp ${sharp!.version}`,
  };
}

/** `--episodes N` and `--seed N` for a quick look or another draw, `--only NAME` for a part. */
export function options(defaults: { readonly episodes: number }): {
  readonly episodes: number;
  readonly seed: number;
  readonly only: string | undefined;
} {
  const { values } = parseArgs({
    options: {
      episodes: { type: "string", default: String(defaults.episodes) },
      seed: { type: "string", default: "1" },
      only: { type: "string" },
    },
  });
  return { episodes: Number(values.episodes), seed: Number(values.seed), only: values.only };
}

/** A fraction of 1 as a percentage with one decimal. */
export const percent = (share: number): string => (100 * share).toFixed(1);
