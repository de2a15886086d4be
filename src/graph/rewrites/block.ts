import { type Builder, createBuilder, type Value } from "../builder.ts";
import { swapAndFlip } from "../conv-gradients.ts";
import type { Graph, Node } from "../graph.ts";
import { chunksOf } from "./chunks.ts";
import { patchAlgebra } from "./first-layer.ts";
import { createLayout, type Layout, step } from "./layout.ts";
import { type Index, indexOf, keepsSize, substitute } from "./match.ts";
import { momentsOf, running } from "./moments.ts";
import { interleave, isHalving, type Pooled, padTo, pooled, spreadGradient } from "./pool-gradient.ts";
import { blockedWeightGradient, patchesWeightGradient } from "./weight-gradient.ts";

/** 3x3 convolution, batch norm in training, ReLU, 2x2 max-pooling, and the gradients of all of it. */
interface Block {
  readonly conv: Node;
  readonly norm: Node;
  readonly pool: Node;
  /** ∂loss of the pooled output. */
  readonly dy: string;
  /** Names of the gradients of image (where it has one), weights, gamma and beta. */
  readonly dx: string | undefined;
  readonly dw: string;
  readonly dgamma: string;
  readonly dbeta: string;
}

function matchBlock(index: Index, pool: Node): Block | undefined {
  if (!isHalving(index, pool)) return undefined;
  const relu = index.producer(pool.inputs[0]!);
  const norm = relu?.op === "Relu" ? index.producer(relu.inputs[0]!) : undefined;
  const conv = norm?.op === "BatchNormalization" ? index.producer(norm.inputs[0]!) : undefined;
  if (!relu || !norm || !conv || conv.op !== "Conv" || conv.domain !== "") return undefined;
  if (index.attribute<number>(norm, "training_mode", 0) !== 1 || conv.inputs.length !== 2) return undefined;
  if (!keepsSize(index, conv, 3)) return undefined;

  // Each gradient must be made of the one before alone: nothing else reads what lies between.
  const ofPool = index.gradient(pool, 0);
  const ofRelu = index.gradient(relu, 0);
  const [ofNorm, dgamma, dbeta] = [0, 1, 2].map((i) => index.gradient(norm, i));
  const [dx, dw] = [0, 1].map((i) => index.gradient(conv, i));
  const chained = ofPool && ofRelu && ofNorm && dgamma && dbeta && dw;
  if (!chained || ofRelu.dy !== ofPool.value || ofNorm.dy !== ofRelu.value || dw.dy !== ofNorm.value)
    return undefined;
  return {
    conv,
    norm,
    pool,
    dy: ofPool.dy,
    dx: dx?.value,
    dw: dw.value,
    dgamma: dgamma.value,
    dbeta: dbeta.value,
  };
}

/**
 * R0 to R6 for a block of a Conv-4: all of it in the runtime's blocked layout (R0), batch norm after pooling (R1),
 * pooling without indices (R2), batch norm's gradient as one affine pass (R3), weight gradients as products of planes
 * (R4), the first layer by algebra (R5), a part of the images at a time (R6).
 *
 * Condition: a 3x3 same convolution without bias, batch norm in training, ReLU and 2x2 max-pooling in a row, of known
 * size, with gradients, and nobody else reading between; output channels a multiple of the block, input channels too,
 * or fewer than a block in a first layer without a gradient to the image.
 *
 * R1: the largest of a·y + b over a window is |a|·(the largest of sign(a)·y) + b, so y is convolved with the signed
 * weights, pooled raw, and normalised on a quarter of the data. Variances come from E[y²] − E[y]²: the images should be
 * roughly standardised.
 */
export function blockedBlocks(graph: Graph, block: number): Graph {
  let current = graph;
  for (const pool of graph.nodes.filter(({ op }) => op === "MaxPool")) {
    const index = indexOf(current);
    const now = current.nodes.find(({ outputs }) => outputs[0] === pool.outputs[0]);
    const match = now && matchBlock(index, now);
    if (match) current = rewriteBlock(current, match, block) ?? current;
  }
  return current;
}

function rewriteBlock(graph: Graph, match: Block, block: number): Graph | undefined {
  const { conv, norm, pool } = match;
  const g = createBuilder(graph.name, graph);
  const image = g.value(conv.inputs[0]!);
  const w = g.value(conv.inputs[1]!);
  const [n, inner, height, width] = image.shape as readonly number[] as [number, number, number, number];
  const outer = Number(w.shape[0]);
  const first = inner < block;
  if (!image.shape.every((dim) => typeof dim === "number") || height < 2 || width < 2) return undefined;
  if (w.shape[2] !== 3 || w.shape[3] !== 3 || outer % block !== 0) return undefined;
  if (first ? match.dx !== undefined : inner % block !== 0) return undefined;

  const replaced = new Map<string, string>();
  const replace = (name: string, value: Value): void => void replaced.set(name, value.name);
  g.scope(`${conv.name}/blocked`, () => {
    const layout = createLayout(g, block);
    const [gamma, beta, mean, variance] = norm.inputs.slice(1).map((name) => g.value(name)) as [
      Value,
      Value,
      Value,
      Value,
    ];
    const epsilon = Number(norm.attributes.epsilon?.value ?? 1e-5);
    const momentum = Number(norm.attributes.momentum?.value ?? 0.9);
    const { split, join } = chunksOf(g, n);
    const xs = split(first ? image : layout.toBlocked(image));
    /** The sum over the chunks. */
    const over = (parts: readonly Value[]): Value => parts.reduce((a, b) => g.Add(a, b));

    const sign = g.Where(g.Less(gamma, 0), g.constant(scalar(-1)), g.constant(scalar(1)));
    const column = (v: Value): Value => g.Reshape(v, g.ints([outer, 1, 1, 1]));
    const signed = layout.weights(g.Mul(w, column(sign)));
    const even = height % 2 === 0 && width % 2 === 0;
    const algebra = first && even ? patchAlgebra(g, layout, xs, w) : undefined;
    const convolved = xs.map((x) => (algebra ? strided(g, layout, x, signed) : whole(layout, x, signed)));

    const count = n * height * width;
    const { mu, spread } = algebra
      ? { mu: g.Mul(sign, algebra.mean), spread: algebra.variance }
      : momentsOf(g, count, (squares) => over(convolved.map(({ y }) => layout.total(y!, squares))));
    const inverse = g.Reciprocal(g.Sqrt(g.Add(spread, epsilon)));
    const k = g.Mul(g.Abs(gamma), inverse);
    const offset = g.Sub(beta, g.Mul(k, mu));
    const qs = convolved.map(({ p }) => layout.affine(p, k, offset, { relu: true }));
    replace(pool.outputs[0]!, layout.toPlain(join(qs)));
    replace(norm.outputs[1]!, running(g, momentum, mean, g.Mul(sign, mu)));
    replace(norm.outputs[2]!, running(g, momentum, variance, spread));

    // With y the signed convolution: dy/k = U + c1·y + c0, where U is the unpooled gradient.
    const ds = split(layout.toBlocked(g.value(match.dy))).map((dy, i) => g.Mul(dy, step(g, qs[i]!)));
    const db = over(ds.map((d) => layout.total(d)));
    replace(match.dbeta, db);
    const spreads = ds.map((d, i) => spreadGradient(g, d, convolved[i]!.lower));
    if (algebra) {
      const { dw, slope } = algebra.gradients({ spreads, db, sign, inverse, k });
      replace(match.dgamma, g.Mul(sign, slope));
      replace(match.dw, dw);
      return;
    }
    const along = over(ds.map((d, i) => layout.total(g.Mul(d, convolved[i]!.p))));
    const slope = g.Mul(inverse, g.Sub(along, g.Mul(mu, db)));
    replace(match.dgamma, g.Mul(sign, slope));
    const c1 = g.Mul(g.Mul(inverse, slope), -1 / count);
    const c0 = g.Sub(g.Mul(db, -1 / count), g.Mul(c1, mu));
    const dys = convolved.map(({ y }, i) => {
      const sum = padTo(g, layout, interleave(g, layout, spreads[i]!.phases), y!);
      return layout.affine(y!, c1, c0, { sum });
    });

    const scale = column(g.Mul(sign, k));
    const gradient = first ? patchesWeightGradient : blockedWeightGradient;
    replace(match.dw, g.Mul(over(dys.map((dy, i) => gradient(g, layout, xs[i]!, dy))), scale));
    if (match.dx !== undefined) {
      const back = layout.weights(swapAndFlip(g, g.Mul(w, scale)));
      const dxs = dys.map((dy) => layout.conv(dy, back, { kernel: [3, 3], pads: [1, 1, 1, 1] }));
      replace(match.dx, layout.toPlain(join(dxs)));
    }
  });
  const outputs = Object.fromEntries(graph.outputs.map(({ name }) => [name, g.value(name)]));
  const both = g.build(outputs, [...replaced.values()]);
  const rewritten = substitute(both, replaced);
  // Somebody else reads what lies between: then the block was computed twice, and nothing is won.
  return rewritten.nodes.some(({ outputs }) => outputs[0] === conv.outputs[0]) ? undefined : rewritten;
}

const scalar = (value: number) => ({ dtype: "float32", dims: [], data: Float32Array.of(value) }) as const;

/** The convolution, pooled; itself where it is formed. */
interface Convolved extends Pooled {
  readonly y?: Value;
}

/** The convolution as a whole. */
function whole(layout: Layout, x: Value, weights: Value): Convolved {
  const y = layout.conv(x, weights, { kernel: [3, 3], pads: [1, 1, 1, 1] });
  return { y, ...pooled(layout, y) };
}

/** The phases by convolutions of stride 2, for even sizes: pays where the whole is not needed besides. */
function strided(g: Builder, layout: Layout, x: Value, weights: Value): Convolved {
  const phase = (a: number, b: number): Value =>
    layout.conv(x, weights, { kernel: [3, 3], strides: [2, 2], pads: [1 - a, 1 - b, a, b] });
  const [y00, y01, y10, y11] = [phase(0, 0), phase(0, 1), phase(1, 0), phase(1, 1)];
  const p = g.Max(g.Max(y00, y01), g.Max(y10, y11));
  const lower = (y: Value): Value => layout.spread(y, [[-1]], { sum: p, step: true });
  return { p, lower: [lower(y00), lower(y01), lower(y10)] };
}
