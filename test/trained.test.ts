import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { pictureFromPixels, toInput } from "../src/data/index.ts";
import { encoderOf, readBundle } from "../src/models/index.ts";

it("the encoder trained on Omniglot opens and tells two strokes apart, wherever they are drawn", async () => {
  const bundle = await readBundle(
    fileURLToPath(new URL("../trained/omniglot-conv4/bundle", import.meta.url)),
  );
  const encoder = await encoderOf(bundle);
  const stroke = (x: number, y: number, w: number, h: number): Float32Array => {
    const data = new Uint8Array(105 * 105).fill(255);
    for (let i = y; i < y + h; i++) data.fill(0, i * 105 + x, i * 105 + x + w);
    return toInput(pictureFromPixels(data, 105, 105, "gray"), bundle.manifest.preprocess);
  };
  const inputs = [stroke(50, 20, 6, 60), stroke(54, 24, 6, 60), stroke(20, 50, 60, 6), stroke(24, 54, 60, 6)];
  const { data, n, dim } = await encoder.embed(inputs);
  await encoder.close();
  expect([n, dim]).toEqual([4, 64]);
  const distance = (a: number, b: number): number =>
    Math.hypot(...Array.from({ length: dim }, (_, d) => data[a * dim + d]! - data[b * dim + d]!));
  for (const [a, b] of [
    [0, 1],
    [2, 3],
  ] as const)
    for (const other of [0, 1, 2, 3].filter((i) => i !== a && i !== b))
      expect(distance(a, b)).toBeLessThan(distance(a, other));
});

it.each([
  ["cifar-fs-conv4/bundle", 256],
  ["encoder/encoder.onnx", 1920],
])("trained/%s opens and embeds as its manifest says", async (path, dim) => {
  const bundle = await readBundle(fileURLToPath(new URL(`../trained/${path}`, import.meta.url)));
  const encoder = await encoderOf(bundle);
  const plain = pictureFromPixels(new Uint8Array(64 * 64).fill(200), 64, 64, "gray");
  const lined = pictureFromPixels(
    Uint8Array.from({ length: 64 * 64 }, (_, i) => (i % 8 < 4 ? 30 : 220)),
    64,
    64,
    "gray",
  );
  const { data, n } = await encoder.embed(
    [plain, lined, lined].map((picture) => toInput(picture, bundle.manifest.preprocess)),
  );
  await encoder.close();
  expect([n, encoder.embeddingDim]).toEqual([3, dim]);
  expect(data.subarray(dim, 2 * dim)).toEqual(data.subarray(2 * dim));
  expect(data.subarray(0, dim)).not.toEqual(data.subarray(dim, 2 * dim));
});
