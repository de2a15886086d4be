import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";

/** A TensorBoard event file: scalars by step. */
export interface EventLog {
  write(step: number, scalars: Readonly<Record<string, number>>): Promise<void>;
  close(): Promise<void>;
}

/** Opens a new event file in the folder; a run that is resumed begins another, as TensorBoard expects. */
export async function openEventLog(folder: string, from: number): Promise<EventLog> {
  const path = join(folder, `events.out.tfevents.${String(from).padStart(10, "0")}.protoline`);
  const file: FileHandle = await open(path, "w");
  await file.appendFile(record(event(0, versionField)));
  // Steps that an earlier file has behind a resume are run again, and told once.
  await file.appendFile(record(event(from + 1, startField)));
  return {
    write: (step, scalars) => file.appendFile(record(event(step, summaryOf(scalars)))),
    close: () => file.close(),
  };
}

/** Event: 1 wall_time double, 2 step int64, 3 file_version string, 5 summary message. */
function event(step: number, content: Uint8Array): Uint8Array {
  const time = Buffer.alloc(9);
  time.writeUInt8((1 << 3) | 1, 0);
  time.writeDoubleLE(Date.now() / 1000, 1);
  return Buffer.concat([time, Buffer.of(2 << 3), varint(step), content]);
}

const field = (number: number, content: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.of((number << 3) | 2), varint(content.length), content]);

const versionField = field(3, Buffer.from("brain.Event:2"));
/** Event: 7 session_log message; SessionLog: 1 status, START being 1. */
const startField = field(7, Buffer.of(1 << 3, 1));

/** Summary: repeated 1 value; Value: 1 tag string, 2 simple_value float. */
function summaryOf(scalars: Readonly<Record<string, number>>): Uint8Array {
  const values = Object.entries(scalars).map(([tag, value]) => {
    const simple = Buffer.alloc(5);
    simple.writeUInt8((2 << 3) | 5, 0);
    simple.writeFloatLE(value, 1);
    return field(1, Buffer.concat([field(1, Buffer.from(tag)), simple]));
  });
  return field(5, Buffer.concat(values));
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}

/** TFRecord: length, its checksum, content, its checksum; all little-endian. */
function record(content: Uint8Array): Uint8Array {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(content.length));
  head.writeUInt32LE(masked(head.subarray(0, 8)), 8);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(masked(content));
  return Buffer.concat([head, content, tail]);
}

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  return c >>> 0;
});

/** CRC-32C (Castagnoli). */
export function crc32c(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) c = (c >>> 8) ^ table[(c ^ byte) & 255]!;
  return (c ^ 0xffffffff) >>> 0;
}

/** The checksum as a TFRecord keeps it: turned right by 15 bits, plus a constant. */
function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
