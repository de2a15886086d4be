import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Found } from "./store-servers.ts";

/** A database server of one test alone, which may be killed. */
export interface Instance {
  /** Address of its store. */
  readonly address: string;
  start(): void;
  /** As a power cut: SIGKILL to each of its processes. Resolves when they are gone. */
  kill(): Promise<void>;
  /** Stands still, as behind a broken cable: connections stay and nothing is answered. */
  freeze(): void;
  thaw(): void;
  /** Kills it for good and removes its files. */
  remove(): Promise<void>;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function find(name: string, places: readonly string[]): string | null {
  return places.map((place) => join(place, name)).find(existsSync) ?? null;
}
const path = (process.env.PATH ?? "").split(":");

/** The process and those that it started, the elders first. */
function family(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    return [pid, ...children.filter(Boolean).flatMap((child) => family(Number(child)))];
  } catch {
    return [];
  }
}

function instance(address: string, folder: string, command: string, args: readonly string[]): Instance {
  let child: ChildProcess | undefined;
  const signal = (members: readonly number[], name: NodeJS.Signals): void => {
    for (const member of members)
      try {
        process.kill(member, name);
      } catch {
        // It has ended by itself since.
      }
  };
  const kill = async (): Promise<void> => {
    const { pid } = child ?? {};
    if (!child || pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child!.once("exit", resolve));
    const members = family(pid);
    signal(members, "SIGKILL");
    await gone;
    while (members.some((member) => existsSync(`/proc/${member}`) && !isZombie(member)))
      await new Promise((resolve) => setTimeout(resolve, 10));
  };
  return {
    address,
    start() {
      child = spawn(command, args, { stdio: "ignore", cwd: folder });
    },
    kill,
    freeze: () => signal(family(child!.pid!), "SIGSTOP"),
    thaw: () => signal(family(child!.pid!), "SIGCONT"),
    async remove() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Ended, and not yet taken note of by whoever inherited it. */
function isZombie(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return true;
  }
}

/** A Redis server that writes each change to its disk before it answers. `more` are its arguments besides. */
export async function redisInstance(more: readonly string[] = []): Promise<Found<Instance>> {
  const binary = find("redis-server", path);
  if (!binary) return { missing: "no redis-server on the PATH" };
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "protoline-redis-"));
  const settings = {
    port,
    bind: "127.0.0.1",
    dir: folder,
    appendonly: "yes",
    appendfsync: "always",
    save: "",
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  return { there: instance(`redis://127.0.0.1:${port}/0`, folder, binary, [...args, ...more]) };
}

/** A PostgreSQL server. It refuses to run as root, so root runs it as the user `postgres`. */
export async function postgresInstance(): Promise<Found<Instance>> {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const places = [...versions.map((version) => join(root, version, "bin")), ...path];
  const [initdb, postgres] = [find("initdb", places), find("postgres", places)];
  if (!initdb || !postgres)
    return { missing: "no initdb and postgres under /usr/lib/postgresql or on the PATH" };
  const folder = mkdtempSync(join(tmpdir(), "protoline-postgres-"));
  const data = join(folder, "data");
  let as: { uid?: number; gid?: number } = {};
  try {
    if (process.getuid?.() === 0) {
      const id = (what: string): number =>
        Number(execFileSync("id", [what, "postgres"], { encoding: "utf8" }));
      as = { uid: id("-u"), gid: id("-g") };
      chownSync(folder, as.uid!, as.gid!);
    }
    const options = ["-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale"];
    execFileSync(initdb, options, { cwd: folder, stdio: "pipe", ...as });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    return { missing: `initdb does not work: ${error}` };
  }
  const port = await freePort();
  const args = ["-D", data, "-p", `${port}`, "-k", folder, "-c", "listen_addresses=127.0.0.1"];
  const address = `postgres://postgres@127.0.0.1:${port}/postgres`;
  if (as.uid === undefined) return { there: instance(address, folder, postgres, args) };
  // Not runuser, which stays in between and would be killed in its place.
  const command = ["--reuid", `${as.uid}`, "--regid", `${as.gid}`, "--clear-groups", postgres, ...args];
  return { there: instance(address, folder, "setpriv", command) };
}
