import type { Builder, Value } from "../builder.ts";
import type { Layout } from "./layout.ts";
import type { Spread } from "./pool-gradient.ts";

/** What a first layer's batch norm needs, without a pass over its output. */
export interface PatchAlgebra {
  /** Mean and variance of the convolution's output, `[O]`. */
  readonly mean: Value;
  readonly variance: Value;
  /** ∂W for dy = scale·(U + slopes through mean and variance): see the formula there. */
  gradients(parts: { spreads: readonly Spread[]; db: Value; sign: Value; inverse: Value; k: Value }): {
    readonly dw: Value;
    /** ∂loss/∂|gamma|, `[O]`. */
    readonly slope: Value;
  };
}

/**
 * R5. The first layer by algebra. P, the 4x4 patch of image behind each 2x2 window, holds the 3x3 patches of all four
 * phases: `[N, 16·I, L]` for L windows. Its Gram matrix gives the batch statistics of y = W·patch without touching y,
 * mean = W·m and variance = W·Cov·Wᵀ on the diagonal; and the gradient of the full-size output, the largest tensor of
 * all, is never formed. −43 ms at 84 px, −28 at 28 px.
 *
 * Condition: 3x3 weights on 1 to 3 channels, even sizes, no gradient to the image, images roughly standardised.
 * (Folding batch norm into the weights as well would break exact ties.)
 */
export function patchAlgebra(
  g: Builder,
  { block, view }: Layout,
  xs: readonly Value[],
  w: Value,
): PatchAlgebra {
  const [each, inner, height, width] = xs[0]!.shape as readonly number[] as [number, number, number, number];
  const outer = Number(w.shape[0]);
  const fan = inner * 9;
  const size = inner * 16;
  const windows = (height * width) / 4;
  const count = xs.length * each * height * width;

  const hot = Float32Array.from({ length: size * size }, (_, i) => Number(Math.floor(i / size) === i % size));
  const pick = g.constant({ dtype: "float32", dims: [size, inner, 4, 4], data: hot });
  const patches = xs.map((x) =>
    g.Reshape(g.Conv(x, pick, { strides: [2, 2], pads: [1, 1, 1, 1] }), g.ints([each, 1, size, windows])),
  );
  /** Which rows of P are the 3x3 patch of phase (a, b). */
  const rowsOf = ([a, b]: readonly [number, number]): Value =>
    g.ints(
      Array.from({ length: fan }, (_, f) => {
        const [c, u, v] = [Math.floor(f / 9), Math.floor(f / 3) % 3, f % 3];
        return c * 16 + (a + u) * 4 + b + v;
      }),
    );
  const phases = [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ] as const;
  const sum = (values: readonly Value[]): Value => values.reduce((a, b) => g.Add(a, b));
  const overImages = (v: Value): Value => g.ReduceSum(v, g.ints([0, 1]), { keepdims: 0 });

  const flat = g.Reshape(w, g.ints([outer, fan]));
  const wholeSums = g.Reshape(
    sum(patches.map((p) => overImages(g.ReduceSum(p, g.ints([3]))))),
    g.ints([size]),
  );
  const wholeGram = sum(patches.map((p) => overImages(g.MatMul(p, g.Transpose(p, { perm: [0, 1, 3, 2] })))));
  const sums = g.Reshape(sum(phases.map((phase) => g.Gather(wholeSums, rowsOf(phase)))), g.ints([1, fan]));
  const gram = sum(
    phases.map((phase) => g.Gather(g.Gather(wholeGram, rowsOf(phase)), rowsOf(phase), { axis: 1 })),
  );
  const m = g.Mul(sums, 1 / count);
  const covariance = g.Sub(g.Mul(gram, 1 / count), g.MatMul(g.Transpose(m, { perm: [1, 0] }), m));
  const along = (v: Value): Value => g.ReduceSum(v, g.ints([1]), { keepdims: 0 });
  const column = (v: Value): Value => g.Reshape(v, g.ints([outer, 1]));
  const mean = along(g.Mul(flat, m));
  const variance = g.Max(along(g.Mul(g.MatMul(flat, covariance), flat)), 0);

  return {
    mean,
    variance,
    gradients({ spreads, db, sign, inverse, k }) {
      /** Σ over images of P times a tensor of the pooled size, a chunk each: `[O, 16·I]`. */
      const against = (vs: readonly Value[]): Value => {
        const product = sum(
          patches.map((p, i) => g.ReduceSum(g.MatMul(p, view(vs[i]!)), g.ints([0]), { keepdims: 0 })),
        );
        return g.Reshape(g.Transpose(product, { perm: [0, 2, 1] }), g.ints([(outer / block) * block, size]));
      };
      const rows = (v: Value, phase: readonly [number, number]): Value =>
        g.Gather(v, rowsOf(phase), { axis: 1 });
      // Σ U·patch from what is left before each phase, so that the shares themselves are never formed.
      const left = phases.map((_, i) => against(spreads.map((spread) => spread.left[i]!)));
      const unpooled = sum(
        phases.map((phase, i) => {
          const before = phases[i - 1];
          return before ? g.Sub(rows(left[i]!, phase), rows(left[i]!, before)) : rows(left[i]!, phase);
        }),
      );
      // With y = W·patch, s = sign(gamma), dy = s·k·(U − db/n) − k·(y − mean)·inverse·slope/n.
      const slope = g.Mul(g.Mul(inverse, sign), g.Sub(along(g.Mul(flat, unpooled)), g.Mul(mean, db)));
      const centred = g.Sub(g.MatMul(flat, gram), g.Mul(column(mean), sums));
      const signed = g.Sub(unpooled, g.Mul(column(g.Mul(db, 1 / count)), sums));
      const curved = g.Mul(column(g.Mul(g.Mul(inverse, slope), 1 / count)), centred);
      const dw = g.Sub(g.Mul(column(g.Mul(sign, k)), signed), g.Mul(column(k), curved));
      return { dw: g.Reshape(dw, g.ints([outer, inner, 3, 3])), slope };
    },
  };
}
