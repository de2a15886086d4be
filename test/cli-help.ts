import { spawn } from "node:child_process";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { drawPart, type PartKind } from "../src/cli/demo/parts.ts";
import { createRng } from "../src/core/index.ts";

export const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/**
 * The environment of a command: no mirror, so that the built-in model is taken on every machine, and a cache of the
 * test's own.
 */
export const environment = (folder: string, more: Record<string, string> = {}): NodeJS.ProcessEnv => {
  const { PROTOLINE_STORE: _, PROTOLINE_DEBUG: __, ...env } = process.env;
  return { ...env, PROTOLINE_MIRROR: "", PROTOLINE_CACHE: join(folder, "cache"), ...more };
};

/** Runs the built command line in `folder`. */
export function protoline(
  folder: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { cwd: folder, env: environment(folder, env) });
    let [out, err] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

export const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");

/** The one JSON object of the error output. */
export const errorOf = ({ err }: Ended): { code: string; message: string; todo?: string } =>
  (JSON.parse(err) as { error: { code: string; message: string; todo?: string } }).error;

export const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), "protoline-cli-"));

/** Writes `n` drawn pictures of a part as `folder/1.jpg` …; equal `seed`, equal pictures. */
export async function drawInto(folder: string, kind: PartKind, n: number, seed: number): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const rng = createRng(seed);
  return Promise.all(
    Array.from({ length: n }, async (_, i) => {
      const path = join(folder, `${i + 1}.jpg`);
      await writeFile(path, await drawPart(kind, rng.fork(i)));
      return path;
    }),
  );
}

export async function write(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}
