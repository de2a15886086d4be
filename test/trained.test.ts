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
