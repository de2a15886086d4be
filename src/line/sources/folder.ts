import { access, constants, mkdir, readdir, readFile, rename, stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { ProtolineError, quote, sha256 } from "../../core/index.ts";
import { imageExtensions } from "../../data/index.ts";
import type { SourceSpec } from "../config.ts";
import type { Source } from "../types.ts";

/** How often the folder is looked at. Watching by events misses files on network drives. */
const everyMs = 200;

/**
 * Pictures that are put into a folder. One counts as written when its size has not changed between two looks. What is
 * answered is moved to `done`, what cannot be read to `failed`; until then it stays, and is answered after a restart.
 */
export function folderSource(spec: Extract<SourceSpec, { kind: "folder" }>): Source {
  const { path, done = join(path, "done"), failed = join(path, "failed") } = spec;
  return {
    name: `folder ${path}`,
    async check() {
      try {
        await access(path, constants.R_OK | constants.W_OK);
      } catch (error) {
        throw new ProtolineError("LINE_INVALID", {
          expected: `a folder to read and move pictures in, at ${quote(path, 200)}`,
          got: `${(error as NodeJS.ErrnoException).code}`,
          todo: "Make the folder, or correct `path` of the source.",
        });
      }
      return `${(await pictures(path)).length} pictures wait in ${path}`;
    },
    async run({ signal, accept, report }) {
      await mkdir(done, { recursive: true });
      await mkdir(failed, { recursive: true });
      const sizes = new Map<string, number>();
      const underWay = new Map<string, Promise<void>>();
      let told = "";
      while (!signal.aborted) {
        const names = await pictures(path).catch((error: unknown) => {
          const fault = `${path} cannot be read: ${(error as Error).message}`;
          if (fault !== told) report(fault);
          told = fault;
          return [];
        });
        for (const name of names) {
          if (signal.aborted) break;
          if (underWay.has(name)) continue;
          const file = join(path, name);
          const found = await stat(file).catch(() => null);
          if (!found || found.size !== sizes.get(name)) {
            if (found) sizes.set(name, found.size);
            continue;
          }
          const bytes = await readFile(file).catch(() => null);
          if (!bytes) continue;
          const id = sha256(new TextEncoder().encode(`${name}\n${found.mtimeMs}\n${sha256(bytes)}`)).slice(
            0,
            32,
          );
          const { handled } = await accept({ id, bytes, origin: file, time: Math.round(found.mtimeMs) });
          const move = handled
            .then(async ({ answer }) => {
              await rename(file, await free(join(answer.kind === "error" ? failed : done, name)));
            })
            .catch((error: unknown) => report(`${file} was not moved: ${(error as Error).message}`))
            .finally(() => {
              underWay.delete(name);
              sizes.delete(name);
            });
          underWay.set(name, move);
        }
        await setTimeout(everyMs, undefined, { signal }).catch(() => undefined);
      }
      await Promise.all(underWay.values());
    },
  };
}

async function pictures(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const isPicture = (name: string): boolean => imageExtensions.includes(extname(name).toLowerCase());
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith(".") && isPicture(entry.name))
    .map(({ name }) => name)
    .sort();
}

/** A path that does not exist yet: `a.jpg`, else `a-1.jpg`, … */
async function free(path: string): Promise<string> {
  const end = extname(path);
  for (let n = 0; ; n++) {
    const candidate = n === 0 ? path : join(path, "..", `${basename(path, end)}-${n}${end}`);
    if (!(await stat(candidate).catch(() => null))) return candidate;
  }
}
