import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";
import { crc32c, openEventLog } from "./tensorboard.ts";

/** The part of tensorflow's event.proto and summary.proto that is written, for a reader of its own. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Event {
    double wall_time = 1; int64 step = 2;
    oneof what { string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
  }
  message Summary { message Value { string tag = 1; float simple_value = 2; } repeated Value value = 1; }
  message SessionLog {
    enum SessionStatus { STATUS_UNSPECIFIED = 0; START = 1; STOP = 2; CHECKPOINT = 3; }
    SessionStatus status = 1;
  }`);
const type = root.lookupType("Event");

/** CRC-32C one bit at a time, and turned as a TFRecord has it. */
function maskedSlowly(bytes: Uint8Array): number {
  let crc = 0xffffffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ (crc & 1n ? 0x82f63b78n : 0n);
  }
  crc ^= 0xffffffffn;
  return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn);
}

describe("event files for TensorBoard", () => {
  it("have the published checksum", () => {
    // RFC 3720, B.4: 32 bytes of zeros, and 32 bytes counting up.
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  });

  it("hold a version, a start, and then the scalars, each in a whole record", async () => {
    const folder = await mkdtemp(join(tmpdir(), "protoline-events-"));
    const before = Date.now() / 1000;
    const log = await openEventLog(folder, 299);
    await log.write(300, { "train/loss": 0.5, rate: 0.001 });
    await log.close();
    const [name] = await readdir(folder);
    expect(name).toMatch(/^events\.out\.tfevents\./);
    const bytes = await readFile(join(folder, name!));
    const events: Record<string, unknown>[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = Number(bytes.readBigUInt64LE(at));
      const content = bytes.subarray(at + 12, at + 12 + length);
      expect(bytes.readUInt32LE(at + 8)).toBe(maskedSlowly(bytes.subarray(at, at + 8)));
      expect(bytes.readUInt32LE(at + 12 + length)).toBe(maskedSlowly(content));
      const { wallTime, ...event } = type.toObject(type.decode(content), { longs: Number, enums: String });
      expect(wallTime).toBeGreaterThanOrEqual(before);
      events.push(event);
      at += 16 + length;
    }
    // Step 0 is what a number is in proto3 without being there.
    expect(events).toEqual([
      { fileVersion: "brain.Event:2" },
      { step: 300, sessionLog: { status: "START" } },
      {
        step: 300,
        summary: {
          value: [
            { tag: "train/loss", simpleValue: 0.5 },
            { tag: "rate", simpleValue: Math.fround(0.001) },
          ],
        },
      },
    ]);
    await rm(folder, { recursive: true });
  });
});
