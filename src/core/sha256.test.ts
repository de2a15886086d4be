import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { createRng } from "./rng.ts";
import { createSha256, portableSha256, sha256 } from "./sha256.ts";

const native = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");

it("equals Node's at every length around the blocks, and of texts", () => {
  const rng = createRng(1);
  const bytes = Uint8Array.from({ length: 300 }, () => rng.int(256));
  for (let length = 0; length <= bytes.length; length++) {
    const part = bytes.subarray(0, length);
    expect(portableSha256().update(part).digest()).toBe(native(part));
    expect(sha256(part)).toBe(native(part));
  }
  for (const text of ["", "abc", "螺栓 M8 🔩", "x".repeat(100_000)])
    expect(portableSha256().update(text).digest()).toBe(native(text));
});

it("takes its input in pieces, and goes on after a digest", () => {
  const rng = createRng(2);
  const bytes = Uint8Array.from({ length: 1000 }, () => rng.int(256));
  const hashes = [portableSha256(), createSha256()];
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + rng.int(150));
    for (const hash of hashes)
      expect(hash.update(bytes.subarray(from, to)).digest()).toBe(native(bytes.subarray(0, to)));
    from = to;
  }
});
