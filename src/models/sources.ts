import { homedir } from "node:os";
import { join } from "node:path";

/** Where model files are kept and found. */
export interface ModelSources {
  /** Folder of downloaded and imported models. */
  readonly cache: string;
  /** Folder or http(s) URL that holds the zoo's files, or `null` for each model's own address. */
  readonly mirror: string | null;
  /** Folder of models that were learned on galleries. Default none. */
  readonly learned?: string | null;
}

/**
 * Reads PROTOLINE_CACHE, PROTOLINE_MIRROR and PROTOLINE_LEARNED. Default cache: `protoline/models` in `XDG_CACHE_HOME`, else in
 * `LOCALAPPDATA`, else in `~/.cache`. For the edges (cli, server), which pass the result on.
 */
export function modelSources(env: Readonly<Record<string, string | undefined>>): ModelSources {
  const base = env.XDG_CACHE_HOME || env.LOCALAPPDATA || join(homedir(), ".cache");
  return {
    cache: env.PROTOLINE_CACHE || join(base, "protoline", "models"),
    mirror: env.PROTOLINE_MIRROR || null,
    learned: env.PROTOLINE_LEARNED || null,
  };
}
