import { execFile } from "node:child_process";
import { access, constants, mkdtemp, readFile, rm, stat, statfs } from "node:fs/promises";
import { createRequire } from "node:module";
import { availableParallelism, freemem, tmpdir } from "node:os";
import { dirname, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Command } from "commander";
import { action, type Context } from "../context.ts";
import { errorObject } from "../exit.ts";
import { sources, storeFile } from "../resources.ts";
import { bytesText, oneLine, plural } from "../text.ts";

interface Check {
  readonly name: string;
  readonly state: "ok" | "warn" | "bad";
  readonly found: string;
  /** What to do, where something is to be done. */
  readonly todo?: string;
}

const lowDisk = 2 ** 30;
const noDisk = 100 * 2 ** 20;
/** Exit code when something is bad: unavailable. */
const unfit = 7;

export function doctor(program: Command): void {
  program
    .command("doctor")
    .description("is this machine ready? each line says ok, warn or bad, and what to do")
    .addHelpText(
      "after",
      `\nExit code 0 when nothing is bad, ${unfit} otherwise. Nothing is changed and nothing is fetched.`,
    )
    .action(
      action(async (context) => {
        const checks: Check[] = [];
        for (const check of [node, runtime, images, sqlite, cache, mirror, models, store, disk, machine])
          checks.push(...(await attempt(check, context)));
        if (context.json) context.print(JSON.stringify(checks));
        else for (const check of checks) context.print(line(check, context));
        return checks.some(({ state }) => state === "bad") ? unfit : 0;
      }),
    );
}

function line({ name, state, found, todo }: Check, { paint }: Context): string {
  const color = { ok: paint.green, warn: paint.yellow, bad: paint.red }[state];
  return `${color(state.padEnd(4))}  ${name.padEnd(14)}  ${oneLine(found)}${todo ? `\n${" ".repeat(22)}→ ${todo}` : ""}`;
}

type Examine = (context: Context) => Promise<Check | readonly Check[]>;

/** A check that throws is a bad line, not the end of the others. */
async function attempt(examine: Examine, context: Context): Promise<readonly Check[]> {
  try {
    return [await examine(context)].flat();
  } catch (error) {
    const { message, todo } = errorObject(error);
    return [{ name: examine.name, state: "bad", found: message, ...(todo !== undefined && { todo }) }];
  }
}

const require = createRequire(import.meta.url);

interface Package {
  readonly name?: string;
  readonly version: string;
  readonly engines: { readonly node: string };
}

/** The manifest of the package that a module lies in, whatever the package exports. */
async function packageOf(modulePath: string): Promise<Package> {
  for (let folder = dirname(modulePath); ; folder = dirname(folder)) {
    const text = await readFile(join(folder, "package.json"), "utf8").catch(() => null);
    const found = text === null ? null : (JSON.parse(text) as Package);
    // A package.json without a name only says how the files beside it are to be read.
    if (found?.name !== undefined) return found;
    if (folder === dirname(folder)) throw new Error(`no package.json above ${modulePath}`);
  }
}

const versionOf = async (name: string): Promise<string> => (await packageOf(require.resolve(name))).version;

async function node(): Promise<Check> {
  const { engines } = await packageOf(fileURLToPath(import.meta.url));
  const least = engines.node
    .replace(/[^\d.]/g, "")
    .split(".")
    .map(Number);
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const enough = major > least[0]! || (major === least[0] && minor >= (least[1] ?? 0));
  const found = `${process.version}, ${process.platform} ${process.arch}`;
  if (enough) return { name: "node", state: "ok", found };
  return { name: "node", state: "bad", found, todo: `Install Node.js ${engines.node}.` };
}

async function runtime({ provider = "cpu" }: Context): Promise<Check> {
  const entry = new URL(`../../runtime/index${extname(import.meta.url)}`, import.meta.url);
  const probe = `import { availableProviders } from ${JSON.stringify(entry)};
    console.log(JSON.stringify(await availableProviders()));`;
  // In a process of its own: a driver that does not fit may print, or end the process that tries it.
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", probe], {
    timeout: 30_000,
  });
  const available = JSON.parse(stdout) as string[];
  const found = `onnxruntime ${await versionOf("onnxruntime-node")}, providers that work here: ${available.join(", ")}`;
  if (available.includes(provider)) return { name: "runtime", state: "ok", found };
  const todo = `Provider ${provider} does not work here: install its driver, or leave --provider out.`;
  return { name: "runtime", state: "bad", found, todo };
}

async function images(): Promise<Check> {
  const { default: sharp } = await import("sharp");
  await sharp({ create: { width: 8, height: 8, channels: 3, background: "gray" } })
    .jpeg()
    .toBuffer();
  return {
    name: "images",
    state: "ok",
    found: `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`,
  };
}

async function sqlite(): Promise<Check> {
  const { openStore } = await import("../../store/index.ts");
  const folder = await mkdtemp(join(tmpdir(), "protoline-doctor-"));
  try {
    await (await openStore(`sqlite:${join(folder, "test.db")}`)).close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return { name: "sqlite", state: "ok", found: `libsql ${await versionOf("libsql")}` };
}

/** The folder itself, or the nearest one above it that is there. */
async function nearestFolder(path: string): Promise<string> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const found = await stat(folder).catch(() => null);
    if (found?.isDirectory() || folder === dirname(folder)) return folder;
  }
}

async function cache(): Promise<Check> {
  const folder = (await sources()).cache;
  const writable = await access(await nearestFolder(folder), constants.W_OK).then(
    () => true,
    () => false,
  );
  if (writable) return { name: "model cache", state: "ok", found: folder };
  const todo = "Make it writable, or name another folder in PROTOLINE_CACHE.";
  return { name: "model cache", state: "warn", found: `${folder} cannot be written`, todo };
}

async function mirror(): Promise<Check> {
  const { mirror: place } = await sources();
  if (place === null)
    return { name: "model mirror", state: "ok", found: "none: models come from their own addresses" };
  if (/^https?:/i.test(place)) return { name: "model mirror", state: "ok", found: `${place} (not asked)` };
  const folder = await stat(place).catch(() => null);
  if (folder?.isDirectory()) return { name: "model mirror", state: "ok", found: place };
  const todo = "Correct or unset PROTOLINE_MIRROR.";
  return { name: "model mirror", state: "warn", found: `${place} is no folder`, todo };
}

async function models(): Promise<Check> {
  const { defaultModel, listModels } = await import("../../models/index.ts");
  const here = (await listModels(await sources())).filter(({ place }) => place !== null);
  const { model } = await defaultModel(await sources());
  const found = `${here.map(({ name }) => name).join(", ")}; a new gallery takes ${model}`;
  return { name: "models", state: "ok", found };
}

async function store(context: Context): Promise<readonly Check[]> {
  const file = storeFile(context.store);
  const { openStore, withoutPassword } = await import("../../store/index.ts");
  if (file !== null && !(await stat(file).catch(() => null))) {
    const folder = await nearestFolder(dirname(file));
    const found = `none yet at ${file}`;
    const writable = await access(folder, constants.W_OK).then(
      () => true,
      () => false,
    );
    if (writable) return [{ name: "store", state: "ok", found: `${found}; the first enroll makes it` }];
    return [
      {
        name: "store",
        state: "bad",
        found,
        todo: `Folder ${folder} cannot be written: use --store sqlite:PATH.`,
      },
    ];
  }
  const { modelInfo } = await import("../../models/index.ts");
  const opened = await openStore(context.store);
  try {
    const galleries = await opened.galleries();
    const checks: Check[] = [
      {
        name: "store",
        state: "ok",
        found: `${file ?? withoutPassword(context.store)} with ${plural(galleries.length, "gallery", "galleries")}`,
      },
    ];
    for (const { name, model, modelHash } of galleries) {
      const info = await modelInfo(context.model ?? model, await sources()).catch(() => null);
      if (info?.place == null || info.modelHash !== modelHash)
        checks.push({
          name: "gallery",
          state: "warn",
          found: `${name} was made by model ${model}, which is not on this machine`,
          todo: `protoline models pull ${model}, or name its bundle with --model.`,
        });
    }
    return checks;
  } finally {
    await opened.close();
  }
}

async function disk(context: Context): Promise<Check> {
  const folder = await nearestFolder(dirname(storeFile(context.store) ?? "."));
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const found = `${bytesText(free)} free at ${folder}`;
  if (free >= lowDisk) return { name: "disk", state: "ok", found };
  return {
    name: "disk",
    state: free < noDisk ? "bad" : "warn",
    found,
    todo: "Make room, or move the store with --store.",
  };
}

async function machine({ threads }: Context): Promise<Check> {
  const cores = availableParallelism();
  const found = `${plural(threads ?? cores, "thread")} of ${plural(cores, "core")}, ${bytesText(freemem())} memory free`;
  if (threads === undefined || threads <= cores) return { name: "machine", state: "ok", found };
  return { name: "machine", state: "warn", found, todo: "More threads than cores make it slower." };
}
