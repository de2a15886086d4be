import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { ProtolineError, quote } from "../core/index.ts";
import { type AuditLine, beginning, follows, readLine } from "./chain.ts";
import { fullFiles, type Head, readHead } from "./files.ts";

/** The longest line that is read, in bytes. */
const longest = 16 * 2 ** 20;

export interface AuditProblem {
  readonly file: string;
  /** Line of the file, from 1. */
  readonly line: number;
  readonly wrong: string;
}

export interface AuditReport {
  readonly files: readonly string[];
  readonly lines: number;
  /** The last line that is whole: kept elsewhere, it shows later that nothing was cut off since. */
  readonly head: Head;
  /** Changes that were begun and have no end: the process was stopped in between. `seq` of each. */
  readonly open: readonly number[];
  /** The first thing that is wrong, or `null`. What comes after it proves nothing. */
  readonly problem: AuditProblem | null;
}

async function* linesOf(file: string): AsyncGenerator<{ bytes: Buffer; whole: boolean }> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let to = rest.indexOf(10); to >= 0; to = rest.indexOf(10, from)) {
      yield { bytes: rest.subarray(from, to), whole: true };
      from = to + 1;
    }
    rest = rest.subarray(from);
    if (rest.length > longest) break;
  }
  if (rest.length > 0) yield { bytes: rest, whole: false };
}

/** The files of a log, oldest first. Throws INVALID_ARGUMENT where there is none. */
async function filesOf(file: string): Promise<readonly string[]> {
  const full = await fullFiles(file);
  const written = await stat(file).catch(() => null);
  if (!written?.isFile() && full.length === 0)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "the file of an audit log",
      got: `none at ${quote(file, 300)}`,
      todo: "Name the file that the server was given with --audit.",
    });
  return written?.isFile() ? [...full, file] : full;
}

/** A sound line, and the offset in its file of what comes after it; or the first thing that is wrong, as the last. */
export type AuditRead =
  | { readonly line: AuditLine; readonly file: string; readonly end: number }
  | { readonly problem: AuditProblem; readonly torn: boolean };

/** The lines of these files as far as they are whole. `before` is the line that the first one hangs on, where known. */
export async function* readFiles(
  files: readonly string[],
  key: string | null,
  before: Head | null,
): AsyncGenerator<AuditRead> {
  for (const file of files) {
    let [number, end] = [0, 0];
    for await (const { bytes, whole } of linesOf(file)) {
      number++;
      end += bytes.length + 1;
      const line = whole
        ? readLine(bytes, key)
        : { wrong: "it is cut short: the newline at its end is missing" };
      const wrong = "wrong" in line ? line.wrong : before && follows(line, before);
      if ("wrong" in line || wrong !== null) {
        yield { problem: { file, line: number, wrong: wrong! }, torn: !whole };
        return;
      }
      before = { seq: line.seq, hash: line.hash };
      yield { line, file, end };
    }
  }
}

/** The whole log with its full files, oldest first. Throws INVALID_ARGUMENT where there is none. */
export async function* readAudit(file: string, key: string | null): AsyncGenerator<AuditRead> {
  yield* readFiles(await filesOf(file), key, { seq: 0, hash: beginning });
}

/**
 * Reads the whole log and says what is wrong first: a line that was changed, removed, moved, repeated or cut. Lines cut
 * off at the very end are missed by the head beside the log, or by `expected`, a head that was kept elsewhere.
 *
 * @throws INVALID_ARGUMENT where there is no log.
 */
export async function verifyAudit(
  file: string,
  { key = null, expected }: { readonly key?: string | null; readonly expected?: Head } = {},
): Promise<AuditReport> {
  const files = await filesOf(file);
  const beside = await readHead(file);
  const heads = [
    ...(beside === null || beside === "broken" ? [] : [beside]),
    ...(expected ? [expected] : []),
  ];
  let head: Head = { seq: 0, hash: beginning };
  let problem: AuditProblem | null = null;
  const open = new Set<number>();
  for await (const read of readFiles(files, key, head)) {
    if ("problem" in read) {
      problem = read.problem;
      break;
    }
    const { line } = read;
    head = { seq: line.seq, hash: line.hash };
    if (line.event.phase === "begin") open.add(line.seq);
    if (line.event.of !== undefined) open.delete(line.event.of);
    const other = heads.find(({ seq, hash }) => seq === line.seq && hash !== line.hash);
    if (other) {
      problem = {
        file: read.file,
        line: line.seq,
        wrong: "it is not the line of that number that was noted before",
      };
      break;
    }
  }
  const last = Math.max(0, ...heads.map(({ seq }) => seq));
  if (problem === null && last > head.seq)
    problem = { file, line: head.seq + 1, wrong: `lines ${head.seq + 1} to ${last} were cut off at the end` };
  if (problem === null && (beside === "broken" || (beside === null && head.seq > 0)))
    problem = {
      file,
      line: head.seq,
      wrong: "the note of the last line beside the log is missing or broken",
    };
  return { files, lines: head.seq, head, open: [...open], problem };
}
