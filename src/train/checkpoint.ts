import { createHash } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { basename } from "node:path";
import { ProtolineError, quote } from "../core/index.ts";
import { arrayFromBytes, bytesOfTensor, sizeOf, type Tensor } from "../graph/index.ts";

/** States of a step by name, with a note (plain JSON) about where they come from. */
export interface Checkpoint<Note> {
  readonly note: Note;
  readonly states: ReadonlyMap<string, Tensor<"float32">>;
}

const magic = "protoline checkpoint 1\n";

interface Header {
  readonly note: unknown;
  readonly states: readonly { readonly name: string; readonly dims: readonly number[] }[];
}

/**
 * Writes a checkpoint: a line that says what it is, the SHA-256 of what follows, the length of a JSON header and the
 * header, and the float32 numbers of every state. The file appears whole or not at all, through a rename.
 */
export async function writeCheckpoint<Note>(path: string, { note, states }: Checkpoint<Note>): Promise<void> {
  const header: Header = { note, states: [...states].map(([name, { dims }]) => ({ name, dims })) };
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  const body = Buffer.concat([length, text, ...[...states.values()].map(bytesOfTensor)]);
  const part = `${path}.part`;
  const file = await open(part, "w");
  try {
    await file.writeFile(
      Buffer.concat([Buffer.from(magic), createHash("sha256").update(body).digest(), body]),
    );
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(part, path);
}

/**
 * Reads a checkpoint; `null` where there is none.
 *
 * @throws CHECKPOINT_INVALID where the file is something else or damaged.
 */
export async function readCheckpoint<Note>(path: string): Promise<Checkpoint<Note> | null> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
    throw invalid(path, String(error.code));
  });
  if (bytes === null) return null;
  const start = magic.length + 32;
  if (bytes.subarray(0, magic.length).toString("latin1") !== magic)
    throw invalid(path, "another kind of file");
  const body = bytes.subarray(start);
  if (!createHash("sha256").update(body).digest().equals(bytes.subarray(magic.length, start)))
    throw invalid(path, "one that is cut off or damaged");
  const headerEnd = 4 + body.readUInt32LE(0);
  const header = JSON.parse(body.subarray(4, headerEnd).toString()) as Header;
  const states = new Map<string, Tensor<"float32">>();
  let at = headerEnd;
  for (const { name, dims } of header.states) {
    const end = at + 4 * sizeOf(dims);
    states.set(name, { dtype: "float32", dims, data: arrayFromBytes("float32", body.subarray(at, end)) });
    at = end;
  }
  return { note: header.note as Note, states };
}

function invalid(path: string, got: string): ProtolineError {
  return new ProtolineError("CHECKPOINT_INVALID", {
    expected: `a whole checkpoint at ${quote(basename(path))}`,
    got,
    todo: "Begin the training anew, in another folder, or bring the file back from a copy.",
  });
}
