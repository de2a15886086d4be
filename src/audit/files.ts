import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Full files stand beside the one that is written, named by the number of their first line. */
export const fullFile = (file: string, firstSeq: number): string =>
  `${file}.${String(firstSeq).padStart(12, "0")}`;

/** The last line's number and hash, in a file beside the log: lines that are cut off at its end are missed by it. */
export const headFile = (file: string): string => `${file}.head`;
export const lockFile = (file: string): string => `${file}.lock`;

/** The full files of a log, oldest first, without the one that is written. */
export async function fullFiles(file: string): Promise<readonly string[]> {
  const names = await readdir(dirname(file)).catch(() => []);
  const own = `${basename(file)}.`;
  return names
    .filter((name) => name.startsWith(own) && /^\d{12}$/.test(name.slice(own.length)))
    .sort()
    .map((name) => join(dirname(file), name));
}

export interface Head {
  readonly seq: number;
  readonly hash: string;
}

/** Of one length whatever the number, so that it is overwritten in one piece. */
export const headText = ({ seq, hash }: Head): string => `${String(seq).padStart(15, "0")} ${hash}\n`;

/** `null` where there is none; `"broken"` where it is no head. */
export async function readHead(file: string): Promise<Head | "broken" | null> {
  const text = await readFile(headFile(file), "latin1").catch(() => null);
  if (text === null) return null;
  const match = /^(\d{15}) ([0-9a-f]{64})\n$/.exec(text);
  return match ? { seq: Number(match[1]), hash: match[2]! } : "broken";
}
