import { type FileHandle, open } from "node:fs/promises";
import type { SinkSpec } from "../config.ts";
import { columns, flat } from "../flat.ts";
import type { LineResult, Sink } from "../types.ts";
import { writableFile } from "./writable.ts";

/** A line of text a result, appended and on the disk before it counts: JSON Lines, or CSV where the name ends in `.csv`. */
export function fileSink({ path }: Extract<SinkSpec, { kind: "file" }>): Sink {
  const csv = path.endsWith(".csv");
  let file: Promise<FileHandle> | undefined;
  const opened = async (): Promise<FileHandle> => {
    const handle = await open(path, "a");
    if (csv && (await handle.stat()).size === 0) await handle.appendFile(`${columns.join(",")}\n`);
    return handle;
  };
  return {
    name: `file ${path}`,
    async check() {
      const size = await writableFile(path);
      return size === null ? `${path} will be made` : `${path} has ${size} bytes and goes on`;
    },
    async write(result) {
      try {
        file ??= opened();
        const handle = await file;
        await handle.appendFile(csv ? csvLine(result) : `${JSON.stringify(result)}\n`);
        await handle.datasync();
      } catch (error) {
        // A full disk or a folder that went away: the next try opens it anew.
        await file?.then((handle) => handle.close()).catch(() => undefined);
        file = undefined;
        throw error;
      }
    },
    close: async () => {
      await file?.then((handle) => handle.close()).catch(() => undefined);
      file = undefined;
    },
  };
}

function csvLine(result: LineResult): string {
  const row = flat(result);
  return `${columns.map((column) => cell(row[column])).join(",")}\n`;
}

/** Quoted where it must be; what a spreadsheet would take for a formula gets an apostrophe. */
function cell(value: string | number | null): string {
  if (typeof value !== "string") return String(value ?? "");
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
