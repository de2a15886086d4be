import { access, constants, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { ProtolineError, quote } from "../../core/index.ts";

/**
 * Whether a sink could write its file. Nothing is changed.
 *
 * @returns its size in bytes, `null` where there is none yet. @throws LINE_INVALID
 */
export async function writableFile(path: string): Promise<number | null> {
  const there = await stat(path).catch(() => null);
  try {
    await access(there ? path : dirname(path), constants.W_OK);
  } catch (error) {
    throw new ProtolineError("LINE_INVALID", {
      expected: `a file that can be written at ${quote(path, 200)}`,
      got: `${(error as NodeJS.ErrnoException).code}`,
      todo: "Make its folder, or correct `path` of the sink.",
    });
  }
  return there?.size ?? null;
}
