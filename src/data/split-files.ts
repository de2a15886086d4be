import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ProtolineError, quote } from "../core/index.ts";
import { reasonOf } from "./read.ts";

/** Part of a data set; `trainval` is `train` and `val` together, `all` is everything. */
export type DatasetSplit = "train" | "val" | "test" | "trainval" | "all";

const parts: Readonly<Record<DatasetSplit, readonly ("train" | "val" | "test")[]>> = {
  train: ["train"],
  val: ["val"],
  test: ["test"],
  trainval: ["train", "val"],
  all: ["train", "val", "test"],
};

/**
 * The lines of a split's list, or of the lists it is made of: `<split>.txt`, a class or a picture a line. Blank lines do
 * not count; a line that stands there twice does once.
 *
 * @param from the folder of the lists, or what gives the text of the one with that file name.
 * @throws SPLIT_INVALID when a list is missing or empty.
 */
export async function readSplit(
  from: string | ((file: string) => string),
  split: DatasetSplit,
  ending = "txt",
): Promise<string[]> {
  const lists = await Promise.all(
    parts[split].map(async (part) => {
      const file = `${part}.${ending}`;
      if (typeof from !== "string") return linesOf(from(file), file);
      const path = join(from, file);
      const text = await readFile(path, "utf8").catch((cause: unknown) => {
        throw splitInvalid(`a readable list at ${quote(path, 200)}`, reasonOf(cause), cause);
      });
      return linesOf(text, path);
    }),
  );
  return [...new Set(lists.flat())];
}

/** Writes `<split>.txt` in `folder` for each list, a line an item. */
export async function writeSplits(
  folder: string,
  splits: Readonly<Record<"train" | "val" | "test", readonly string[]>>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [split, lines] of Object.entries(splits))
    await writeFile(join(folder, `${split}.txt`), lines.map((line) => `${line}\n`).join(""));
}

function linesOf(text: string, path: string): string[] {
  const lines = text
    .split("\n")
    .map((line) => line.trim().normalize("NFC"))
    .filter((line) => line !== "");
  if (lines.length === 0) throw splitInvalid(`at least one line in ${quote(path, 200)}`, "none");
  return lines;
}

export function splitInvalid(expected: string, got: string, cause?: unknown): ProtolineError {
  return new ProtolineError("SPLIT_INVALID", {
    expected,
    got,
    todo: "Check the lists; `protoline data pull` fetches those of a published data set, `protoline data split` makes some for a folder.",
    cause,
  });
}
