import { open } from "node:fs/promises";
import { join } from "node:path";
import protobuf from "protobufjs/minimal.js";
import type { Log, LogLine } from "./log.ts";

/**
 * Event log that TensorBoard reads: `events.out.tfevents.SECONDS.STEP` in the run's folder, with the scalars `train/loss`,
 * `train/accuracy`, `train/rate`, `train/norm`, `train/ms`, `validation/loss` and `validation/accuracy`.
 *
 * @param from step that the run goes on from: TensorBoard forgets what earlier files hold behind it.
 * @param now milliseconds since 1970, for the events' times.
 */
export async function openEvents(folder: string, from: number, now: () => number = Date.now): Promise<Log> {
  const seconds = String(Math.floor(now() / 1000)).padStart(10, "0");
  const file = await open(join(folder, `events.out.tfevents.${seconds}.${from}`), "a");
  const add = (event: Event): Promise<void> => file.appendFile(record(encodeEvent(event, now() / 1000)));
  await add({ step: 0, version: "brain.Event:2" });
  await add({ step: from + 1, start: true });
  return {
    write: (line) => add({ step: line.step, scalars: scalarsOf(line) }),
    flush: () => file.sync(),
    close: () => file.close(),
  };
}

/** Writes each line to both. */
export const both = (one: Log, other: Log): Log => ({
  write: async (line) => {
    await one.write(line);
    await other.write(line);
  },
  flush: async () => {
    await one.flush();
    await other.flush();
  },
  close: async () => {
    await one.close();
    await other.close();
  },
});

function scalarsOf(line: LogLine): Readonly<Record<string, number>> {
  if ("validation" in line) {
    const { loss, accuracy } = line.validation;
    return { "validation/loss": loss, "validation/accuracy": accuracy };
  }
  const { step: _, ...rest } = line;
  return Object.fromEntries(Object.entries(rest).map(([name, value]) => [`train/${name}`, value]));
}

interface Event {
  readonly step: number;
  /** Of the format, in the first event of a file. */
  readonly version?: string;
  /** What has a step from here on is new. */
  readonly start?: boolean;
  readonly scalars?: Readonly<Record<string, number>>;
}

/** Tag of a protobuf field: its number and how it is written. */
const field = (number: number, wire: 0 | 1 | 2 | 5): number => (number << 3) | wire;

/** The message `Event` of tensorflow/core/util/event.proto, with `Summary` and `SessionLog` inside. */
function encodeEvent({ step, version, start, scalars }: Event, time: number): Uint8Array {
  const writer = protobuf.Writer.create();
  writer.uint32(field(1, 1)).double(time);
  writer.uint32(field(2, 0)).int64(step);
  if (version !== undefined) writer.uint32(field(3, 2)).string(version);
  if (scalars) {
    writer.uint32(field(5, 2)).fork();
    for (const [tag, value] of Object.entries(scalars)) {
      writer.uint32(field(1, 2)).fork();
      writer.uint32(field(1, 2)).string(tag).uint32(field(2, 5)).float(value);
      writer.ldelim();
    }
    writer.ldelim();
  }
  // SessionLog.status = START.
  if (start) writer.uint32(field(7, 2)).fork().uint32(field(1, 0)).int32(1).ldelim();
  return writer.finish();
}

/** A TFRecord: length, checksum of the length, bytes, checksum of the bytes. */
function record(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + 16);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BigInt(bytes.length), true);
  view.setUint32(8, masked(out.subarray(0, 8)), true);
  out.set(bytes, 12);
  view.setUint32(12 + bytes.length, masked(bytes), true);
  return out;
}

/** Turned by 15 bits and moved, as TFRecord wants it, lest a checksum of data with checksums in it be weak. */
function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Castagnoli's polynomial, reflected. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C (RFC 3720, B.4). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
