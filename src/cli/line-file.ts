import { readFile } from "node:fs/promises";
import { ProtolineError, quote } from "../core/index.ts";
import type { LineConfig } from "../line/index.ts";

/** A line as its file describes it. @throws LINE_INVALID */
export async function readLine(path: string): Promise<LineConfig> {
  const { parseLine } = await import("../line/index.ts");
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ProtolineError("LINE_INVALID", {
      expected: "the description of a line",
      got: `${quote(path, 200)} (${error.code})`,
      todo: "Correct the path.",
      cause: error,
    });
  });
  return parseLine(text, path);
}
