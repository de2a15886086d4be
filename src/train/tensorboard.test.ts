import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { crc32c, openEventLog } from "./tensorboard.ts";

describe("event files for TensorBoard", () => {
  it("have the published checksum", () => {
    // RFC 3720, B.4: 32 bytes of zeros, and 32 bytes counting up.
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  });

  it("hold a version and then the scalars, each in a whole record", async () => {
    const folder = await mkdtemp(join(tmpdir(), "protoline-events-"));
    const log = await openEventLog(folder, 0);
    await log.write(300, { "train/loss": 0.5, rate: 0.25 });
    await log.close();
    const [name] = await readdir(folder);
    expect(name).toMatch(/^events\.out\.tfevents\./);
    const bytes = await readFile(join(folder, name!));
    const records: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = Number(bytes.readBigUInt64LE(at));
      records.push(bytes.subarray(at + 12, at + 12 + length));
      at += 16 + length;
    }
    expect(records).toHaveLength(2);
    expect(records[0]!.includes("brain.Event:2")).toBe(true);
    // Field 2, step 300 as a varint.
    expect([...records[1]!.subarray(9, 12)]).toEqual([16, 0xac, 2]);
    const tag = records[1]!.indexOf("train/loss");
    expect(tag).toBeGreaterThan(0);
    expect(records[1]!.readFloatLE(tag + "train/loss".length + 1)).toBe(0.5);
    await rm(folder, { recursive: true });
  });
});
