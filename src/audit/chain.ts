import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/**
 * One line of the audit log, and how it hangs on the line before. A line is JSON whose last field is its hash:
 *
 *     {"seq":7,"time":"…","alg":"sha256","prev":"<hash of line 6>","event":{…},"hash":"…"}
 *
 * The hash is over the bytes of the line before `,"hash":`, and so over the hash of the line before. Without a key it
 * shows every change but that by somebody who rewrites all later lines too; with one (HMAC-SHA256) that needs the key.
 */

/** What happened, or is about to. Values are plain JSON. */
export interface AuditEvent {
  /** `begin` is written before a change, `end` after it; a `note` stands alone. */
  readonly phase: "begin" | "end" | "note";
  /** What, such as `gallery.rollback`. */
  readonly action: string;
  /** Who, as changes of a gallery record it. */
  readonly who: string;
  /** Id of the key, subject of the token, `local` or `command line`. */
  readonly caller: string;
  /** Id of the HTTP request, as in its reply's `x-request-id` and in the log; `null` for a command. */
  readonly request: string | null;
  readonly gallery: string | null;
  readonly reason: string | null;
  /** What was there before. */
  readonly old: unknown;
  /** Of a `begin` what is wanted, of an `end` what is there now. */
  readonly new: unknown;
  /** Of an `end`: the `seq` of its `begin`. */
  readonly of?: number;
  /** Of an `end`: `done`, or the code of the error that left everything as it was. */
  readonly outcome?: string;
}

export type AuditAlgorithm = "sha256" | "hmac-sha256";

export interface AuditLine {
  readonly seq: number;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly alg: AuditAlgorithm;
  readonly prev: string;
  readonly event: AuditEvent;
  readonly hash: string;
}

/** What the first line hangs on. */
export const beginning = "0".repeat(64);

export function lineHash(bytes: Uint8Array, key: string | null): string {
  return (key === null ? createHash("sha256") : createHmac("sha256", key)).update(bytes).digest("hex");
}

/** The line, without the newline at its end. */
export function formatLine(
  line: Omit<AuditLine, "hash" | "alg">,
  key: string | null,
): { text: string; hash: string } {
  const { seq, time, prev, event } = line;
  const alg: AuditAlgorithm = key === null ? "sha256" : "hmac-sha256";
  const open = JSON.stringify({ seq, time, alg, prev, event }).slice(0, -1);
  const hash = lineHash(Buffer.from(open), key);
  return { text: `${open},"hash":"${hash}"}`, hash };
}

const tail = /,"hash":"([0-9a-f]{64})"\}$/;

/**
 * The line that these bytes are, or what is wrong with them. `key` must be the one that the line was written with.
 * Whether it follows on the line before is {@link follows}.
 */
export function readLine(bytes: Uint8Array, key: string | null): AuditLine | { readonly wrong: string } {
  const text = Buffer.from(bytes).toString("latin1");
  const match = tail.exec(text);
  if (!match) return { wrong: "it is cut short or is no line of an audit log" };
  const hash = match[1]!;
  const expected = lineHash(bytes.subarray(0, match.index), key);
  const changed = !timingSafeEqual(Buffer.from(hash), Buffer.from(expected));
  let value: AuditLine;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as AuditLine;
  } catch {
    return { wrong: "its text was changed: it is no JSON any more" };
  }
  if (key !== null && value.alg === "sha256") return { wrong: "it was written without the key" };
  if (key === null && value.alg === "hmac-sha256")
    return { wrong: "it was written with a key, and none was given" };
  return changed ? { wrong: "its text was changed, or the key is another" } : value;
}

/** What is wrong between two whole lines, or `null`. */
export function follows(line: AuditLine, before: Pick<AuditLine, "seq" | "hash">): string | null {
  if (line.seq > before.seq + 1)
    return before.seq + 2 === line.seq
      ? `line ${before.seq + 1} was removed before it`
      : `lines ${before.seq + 1} to ${line.seq - 1} were removed before it`;
  if (line.seq <= before.seq) return `it stands after line ${before.seq}: lines were reordered or repeated`;
  return line.prev === before.hash
    ? null
    : `line ${before.seq} before it is not the one that it was written after`;
}
