import type { Value } from "../../graph/index.ts";
import type { Forward, Frame } from "../frame.ts";
import { truncatedNormal } from "../init.ts";
import { conv, layerNorm, linear } from "../layers.ts";

export interface VitOptions {
  /** Side of a patch in pixels; it must divide height and width. Default 7. */
  readonly patch?: number;
  /** Size of a token and of the embedding, a multiple of `heads`. Default 128. */
  readonly dim?: number;
  /** Blocks. Default 4. */
  readonly depth?: number;
  /** Default 4. */
  readonly heads?: number;
}

const init = truncatedNormal(0.02);

/**
 * A small vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929), norms first, whose embedding is the mean of the
 * tokens. `[N, C, H, W]` → `[N, dim]`.
 */
export const vit =
  ({ patch = 7, dim = 128, depth = 4, heads = 4 }: VitOptions = {}): Forward =>
  (f, x) => {
    const { g } = f;
    const options = { channels: dim, kernel: patch, stride: patch, padding: 0, bias: true, init };
    const patches = conv(f, "patches", x, options);
    const count = Number(patches.shape[2]) * Number(patches.shape[3]);
    const tokens = g.Transpose(g.Reshape(patches, g.ints([0, dim, count])), { perm: [0, 2, 1] });
    let y = g.Add(tokens, f.parameter("position", [1, count, dim], init, "affine"));
    for (let block = 1; block <= depth; block++)
      y = f.scope(`block${block}`, () => {
        const seen = g.Add(y, attention(f, layerNorm(f, "norm1", y), heads));
        const inner = g.Gelu(linear(f, "expand", layerNorm(f, "norm2", seen), 4 * dim, { init }));
        return g.Add(seen, linear(f, "project", inner, dim, { init }));
      });
    return g.ReduceMean(layerNorm(f, "norm", y), g.ints([1]), { keepdims: 0 });
  };

/** softmax(QKᵀ/√d)·V in every head (Vaswani et al. 2017, arXiv:1706.03762): `[N, T, D]` → `[N, T, D]`. */
function attention(f: Frame, x: Value, heads: number): Value {
  const { g } = f;
  const [count, dim] = [Number(x.shape[1]), Number(x.shape[2])];
  const each = dim / heads;
  const split = (name: string): Value =>
    g.Transpose(g.Reshape(linear(f, name, x, dim, { init }), g.ints([0, count, heads, each])), {
      perm: [0, 2, 1, 3],
    });
  const keys = g.Transpose(split("key"), { perm: [0, 1, 3, 2] });
  const weights = g.Softmax(g.Mul(g.MatMul(split("query"), keys), 1 / Math.sqrt(each)), { axis: 3 });
  const mixed = g.Transpose(g.MatMul(weights, split("value")), { perm: [0, 2, 1, 3] });
  return linear(f, "out", g.Reshape(mixed, g.ints([0, count, dim])), dim, { init });
}
