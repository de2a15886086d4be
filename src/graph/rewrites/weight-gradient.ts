import type { Builder, Value } from "../builder.ts";
import type { Layout } from "./layout.ts";

/**
 * R4. ∂/∂w of a same convolution of blocked tensors with a kernel of side 1 or 3, `[O, I, side, side]`, as products of
 * whole planes. x shifted along W goes plain, `[N, 1, I, H·W]`; dy shifted along H stays blocked,
 * `[N, O/block, H·W, block]`; each pair of shifts is one tap. 126 → 62 ms at 100 × 64 × 42 × 42.
 *
 * Small maps put groups of images into the inner dimension, since products of short rows waste the machine; with many
 * channels they would also write more than they read. Beyond 64 output channels dy goes plain too, `[N, H·W, O]`: one
 * product instead of one a block.
 */
export function blockedWeightGradient(g: Builder, layout: Layout, x: Value, dy: Value, side = 3): Value {
  const { block, spread, toPlain } = layout;
  const [n, inner, h, w] = x.shape as readonly number[] as [number, number, number, number];
  const outer = Number(dy.shape[1]);
  const area = h * w;
  const channels = Math.max(inner, outer);
  const group = area <= channels ? largestDivisor(n, Math.max(1, Math.floor((16 * channels) / area))) : 1;
  const blocks = outer / block;

  const oneHot = (at: number): number[] => [0, 1, 2].map((i) => Number(i === at));
  const shifts = side === 3 ? [0, 1, 2] : [1];
  const images = shifts.map((j) => {
    const shifted = j === 1 ? x : spread(x, [oneHot(j)], { pads: [0, 1, 0, 1] });
    const plain = g.Reshape(toPlain(shifted), g.ints([n / group, group, inner, area]));
    const grouped = group > 1 ? g.Transpose(plain, { perm: [0, 2, 1, 3] }) : plain;
    return g.Reshape(grouped, g.ints([n / group, ...(outer > 64 ? [] : [1]), inner, group * area]));
  });
  const slopes = shifts.map((i) => {
    // dy moved down by one row is what the first row of taps meets.
    const shifted =
      i === 1
        ? dy
        : spread(
            dy,
            oneHot(2 - i).map((v) => [v]),
            { pads: [1, 0, 1, 0] },
          );
    if (outer > 64) {
      const view = g.Reshape(shifted, g.ints([n / group, group, blocks, area, block]));
      const rows = g.Transpose(view, { perm: [0, 1, 3, 2, 4] });
      return g.Reshape(rows, g.ints([n / group, group * area, outer]));
    }
    const view = g.Reshape(shifted, g.ints([n / group, group, blocks, area * block]));
    const grouped = group > 1 ? g.Transpose(view, { perm: [0, 2, 1, 3] }) : view;
    return g.Reshape(grouped, g.ints([n / group, blocks, group * area, block]));
  });
  const products = slopes.flatMap((slope) =>
    images.map((image) => g.ReduceSum(g.MatMul(image, slope), g.ints([0]), { keepdims: 0 })),
  );
  const [dims, perm] =
    outer > 64
      ? [
          [inner, outer, 1],
          [1, 0, 2],
        ]
      : [
          [blocks, inner, block, 1],
          [0, 2, 1, 3],
        ];
  const taps = products.map((product) => g.Reshape(product, g.ints(dims)));
  const joined = g.Transpose(g.Concat(...taps, { axis: dims.length - 1 }), { perm });
  return g.Reshape(joined, g.ints([outer, inner, side, side]));
}

/** The largest divisor of `n` that is at most `limit`. */
function largestDivisor(n: number, limit: number): number {
  for (let d = Math.min(n, limit); d > 1; d--) if (n % d === 0) return d;
  return 1;
}

/**
 * The same for a plain x of fewer channels than a block: its patches as columns, `[N, 1, I·9, H·W]`, times dy in one
 * pass.
 */
export function patchesWeightGradient(g: Builder, { block }: Layout, x: Value, dy: Value): Value {
  const [n, inner, h, w] = x.shape as readonly number[] as [number, number, number, number];
  const outer = Number(dy.shape[1]);
  const fan = inner * 9;
  const hot = Float32Array.from({ length: fan * fan }, (_, i) => Number(Math.floor(i / fan) === i % fan));
  const pick = g.constant({ dtype: "float32", dims: [fan, inner, 3, 3], data: hot });
  const patches = g.Reshape(g.Conv(x, pick, { pads: [1, 1, 1, 1] }), g.ints([n, 1, fan, h * w]));
  const slope = g.Reshape(dy, g.ints([n, outer / block, h * w, block]));
  const product = g.ReduceSum(g.MatMul(patches, slope), g.ints([0]), { keepdims: 0 });
  return g.Reshape(g.Transpose(product, { perm: [0, 2, 1] }), g.ints([outer, inner, 3, 3]));
}
