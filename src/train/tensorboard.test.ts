import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import protobuf from "protobufjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { crc32c, openEvents } from "./tensorboard.ts";

/** The part of tensorflow's event.proto and summary.proto that is written. */
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

/** CRC-32C one bit at a time, by division of polynomials: nothing of the table that is tested. */
function slowCrc(bytes: Uint8Array): number {
  let crc = 0xffffffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ (crc & 1n ? 0x82f63b78n : 0n);
  }
  return Number(crc ^ 0xffffffffn);
}
const unmask = (masked: number): number => {
  const turned = (masked - 0xa282ead8) >>> 0;
  return ((turned << 15) | (turned >>> 17)) >>> 0;
};

function readEvents(bytes: Buffer): object[] {
  const events: object[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(unmask(bytes.readUInt32LE(at + 8))).toBe(slowCrc(bytes.subarray(at, at + 8)));
    expect(unmask(bytes.readUInt32LE(at + 12 + length))).toBe(slowCrc(data));
    const type = root.lookupType("Event");
    events.push(type.toObject(type.decode(data), { longs: Number, enums: String }));
    at += 16 + length;
  }
  return events;
}

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-events-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("TensorBoard's events", () => {
  it("hold every scalar in records whose checksums are right", async () => {
    const log = await openEvents(folder, 40, () => 1_700_000_000_250);
    await log.write({ step: 41, loss: 0.5, accuracy: 0.75, norm: 2, rate: 0.001, ms: 12.5 });
    await log.write({ step: 41, validation: { episodes: 9, loss: 0.25, accuracy: 0.875, ci95: 0.1 } });
    await log.flush();
    await log.close();
    expect(await readdir(folder)).toEqual(["events.out.tfevents.1700000000.40"]);
    const events = readEvents(await readFile(join(folder, "events.out.tfevents.1700000000.40")));
    const value = (tag: string, simpleValue: number) => ({ tag, simpleValue });
    expect(events).toEqual([
      // Step 0 is what a proto3 number is without being there.
      { wallTime: 1_700_000_000.25, fileVersion: "brain.Event:2" },
      { wallTime: 1_700_000_000.25, step: 41, sessionLog: { status: "START" } },
      {
        wallTime: 1_700_000_000.25,
        step: 41,
        summary: {
          value: [
            value("train/loss", 0.5),
            value("train/accuracy", 0.75),
            value("train/norm", 2),
            value("train/rate", Math.fround(0.001)),
            value("train/ms", 12.5),
          ],
        },
      },
      {
        wallTime: 1_700_000_000.25,
        step: 41,
        summary: { value: [value("validation/loss", 0.25), value("validation/accuracy", 0.875)] },
      },
    ]);
  });

  it("are checked by CRC-32C as RFC 3720 has it", () => {
    // Its examples B.4: 32 bytes of zeros, of ones, and 0 … 31.
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  });
});
