import { type FileHandle, open, readFile, rename, writeFile } from "node:fs/promises";
import type { EpisodeScores } from "./validate.ts";

/** One line of `log.jsonl`: a step, or a validation after that step. */
export type LogLine =
  | {
      readonly step: number;
      readonly loss: number;
      /** Share of the queries, 0 … 1. */
      readonly accuracy: number;
      /** Of all gradients together. */
      readonly norm: number;
      readonly rate: number;
      /** Milliseconds, making the batch included. */
      readonly ms: number;
    }
  | {
      readonly step: number;
      readonly validation: EpisodeScores;
    };

export interface Log {
  write(line: LogLine): Promise<void>;
  /** Everything written so far is on the disk afterwards. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the log, keeping the lines up to step `from`: those behind it are run again after a resume. */
export async function openLog(path: string, from: number): Promise<Log> {
  const before = from === 0 ? "" : await readFile(path, "utf8").catch(() => "");
  const kept = before.split("\n").filter((line) => {
    const step = /^\{"step":(\d+),.*\}$/.exec(line)?.[1];
    return step !== undefined && Number(step) <= from;
  });
  await writeFile(`${path}.part`, kept.map((line) => `${line}\n`).join(""));
  await rename(`${path}.part`, path);
  const file: FileHandle = await open(path, "a");
  const flush = (): Promise<void> => file.sync();
  return {
    write: (line) => file.appendFile(`${JSON.stringify(line)}\n`),
    flush,
    close: async () => {
      await flush();
      await file.close();
    },
  };
}
