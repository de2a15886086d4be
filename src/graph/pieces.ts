import type { Builder, Operand, Value } from "./builder.ts";
import { type Dim, dtypeCodes, sizeOf, tensor, UNKNOWN } from "./graph.ts";
import { Mismatch, sameDim, sameShape, shapeText } from "./operators.ts";

/** Small graphs that gradients, layers and losses are put together from. */

const isStatic = (dims: readonly Dim[]): dims is readonly number[] =>
  dims.every((dim) => typeof dim === "number");

/** The shape of `x` as int64: a constant where it is known, else computed. */
export const shapeOf = (g: Builder, x: Value): Value => (isStatic(x.shape) ? g.ints(x.shape) : g.Shape(x));

/** `x` in the shape of `like`. */
export function reshapeLike(g: Builder, x: Value, like: Value): Value {
  if (sameShape(x.shape, like.shape)) return x;
  const symbols = like.shape.filter((dim) => typeof dim === "string");
  // A single symbol follows from the other sizes.
  if (symbols.length === 1 && x.shape.includes(symbols[0]!) && !like.shape.includes(0))
    return g.Reshape(x, g.ints(like.shape.map((dim) => (typeof dim === "string" ? -1 : dim))));
  return g.Reshape(x, shapeOf(g, like));
}

/** `x` repeated to the shape of `like`. */
export const expandLike = (g: Builder, x: Value, like: Value): Value =>
  sameShape(x.shape, like.shape) ? x : g.Expand(x, shapeOf(g, like));

/** `value` everywhere, in the type and shape of `like`. */
export function filled(g: Builder, like: Value, value: number): Value {
  const one = tensor(like.dtype, [value], [1]);
  return isStatic(like.shape) && sizeOf(like.shape) <= 1
    ? g.constant({ ...one, dims: like.shape })
    : g.ConstantOfShape(shapeOf(g, like), { value: one });
}

/** In the element type of `like`; a truth value becomes 1 where it holds and 0 elsewhere. */
export const cast = (g: Builder, x: Value, like: Value): Value =>
  x.dtype === like.dtype ? x : g.Cast(x, { to: dtypeCodes[like.dtype] });

/** How many elements of `x` lie along `axes`, as a number of its element type. */
export function countAlong(g: Builder, x: Value, axes: readonly number[]): Operand {
  const dims = axes.map((axis) => x.shape[axis]!);
  if (isStatic(dims)) return sizeOf(dims);
  const sizes = axes.map((axis) => cast(g, g.Squeeze(g.Shape(x, { start: axis, end: axis + 1 })), x));
  return sizes.reduce((product, size) => g.Mul(product, size));
}

/**
 * Sums over `axes`, kept as size 1. Within each image first, then over the batch: one long float32 sum over 10^6
 * elements loses digits that the two short ones keep.
 */
export function sumOver(g: Builder, x: Value, axes: readonly number[]): Value {
  const inner = axes.filter((axis) => axis !== 0);
  const partial = inner.length > 0 ? g.ReduceSum(x, g.ints(inner)) : x;
  return axes.includes(0) ? g.ReduceSum(partial, g.ints([0])) : partial;
}

/** The mean over `axes`, kept as size 1; within each image first, as {@link sumOver}. */
export function meanOver(g: Builder, x: Value, axes: readonly number[]): Value {
  const inner = axes.filter((axis) => axis !== 0);
  const partial = inner.length > 0 ? g.ReduceMean(x, g.ints(inner)) : x;
  return axes.includes(0) ? g.ReduceMean(partial, g.ints([0])) : partial;
}

/** Undoes broadcasting: sums `d` over the axes along which `target` was repeated. */
export function unbroadcast(g: Builder, d: Value, target: Value): Value {
  if (sameShape(d.shape, target.shape)) return d;
  const lead = d.shape.length - target.shape.length;
  const axes = d.shape.flatMap((dim, i) => {
    const own = i < lead ? 1 : target.shape[i - lead]!;
    if (sameDim(dim, own)) return i < lead ? [i] : [];
    if (own !== 1)
      throw new Mismatch(
        "sizes that tell what is repeated",
        `${shapeText(target.shape)} in ${shapeText(d.shape)}`,
      );
    return [i];
  });
  const summed = axes.length > 0 ? sumOver(g, d, axes) : d;
  return lead > 0 ? reshapeLike(g, summed, target) : summed;
}

/** A vector `[C]` as `[1, C, 1, …]`, to be combined with `[N, C, …]`. */
export function perChannel(g: Builder, vector: Value, rank: number): Value {
  const [channels] = vector.shape;
  const dims = Array.from({ length: rank }, (_, i) => (i === 1 ? Number(channels) : 1));
  return g.Reshape(
    vector,
    g.ints(channels === UNKNOWN || typeof channels === "string" ? dims.with(1, -1) : dims),
  );
}
