import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The built command line. */
const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface ServedOptions {
  /** Where it runs; its cache lies there too. */
  readonly folder: string;
  /** Of `protoline serve`, beside `--port 0 --json`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Options of Node, such as `--import`. */
  readonly node?: readonly string[];
  /** A command that runs it, such as `nsenter …`, which must become it and not start it. */
  readonly through?: readonly string[];
}

/** A `protoline serve` in a process of its own. */
export interface Served {
  readonly address: string;
  readonly port: number;
  readonly child: ChildProcess;
  /** Exit status; `null` after a signal. */
  readonly ended: Promise<number | null>;
  /** Both its outputs so far. */
  output(): string;
  /** Resident memory, bytes. */
  rss(): number;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Resolves when it listens. @throws with its output where it ends before. */
export async function startServed({
  folder,
  args = [],
  env = {},
  node = [],
  through = [],
}: ServedOptions): Promise<Served> {
  const { PROTOLINE_STORE: _, PROTOLINE_DEBUG: __, ...inherited } = process.env;
  const command = [...through, process.execPath, ...node, main, "serve", "--port", "0", "--json", ...args];
  const child = spawn(command[0]!, command.slice(1), {
    cwd: folder,
    // Without a mirror, so that the built-in model is taken on every machine.
    env: { ...inherited, PROTOLINE_MIRROR: "", PROTOLINE_CACHE: `${folder}/cache`, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const address = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        output = (output + text).slice(-(2 ** 20));
        const found = /"address":"([^"]+)"/.exec(output);
        if (found) resolve(found[1]!);
      });
    child.once("error", reject);
    child.once("close", () => reject(new Error(output)));
  });
  return {
    ...{ address, child, ended, port: Number(new URL(address).port) },
    output: () => output,
    rss: () =>
      1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))![1]),
    stop: (signal = "SIGTERM") => {
      child.kill(signal);
      return ended;
    },
  };
}
