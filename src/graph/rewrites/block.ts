import { type Builder, createBuilder, type Value } from "../builder.ts";
import { swapAndFlip } from "../conv-gradients.ts";
import type { Graph, Node } from "../graph.ts";
import { patchAlgebra } from "./first-layer.ts";
import { createLayout, type Layout } from "./layout.ts";
import { type Index, indexOf, substitute } from "./match.ts";
import { interleave, type Phases, poolPhases, step } from "./pooled-phases.ts";
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
  const ints = (node: Node, name: string, otherwise: readonly number[]): string =>
    index.attribute(node, name, otherwise).join();
  if (pool.op !== "MaxPool" || pool.domain !== "") return undefined;
  if (ints(pool, "kernel_shape", []) !== "2,2" || ints(pool, "strides", []) !== "2,2") return undefined;
  if (ints(pool, "pads", [0, 0, 0, 0]) !== "0,0,0,0" || index.attribute<number>(pool, "ceil_mode", 0) !== 0)
    return undefined;
  const relu = index.producer(pool.inputs[0]!);
  const norm = relu?.op === "Relu" ? index.producer(relu.inputs[0]!) : undefined;
  const conv = norm?.op === "BatchNormalization" ? index.producer(norm.inputs[0]!) : undefined;
  if (!relu || !norm || !conv || conv.op !== "Conv" || conv.domain !== "") return undefined;
  if (index.attribute<number>(norm, "training_mode", 0) !== 1 || conv.inputs.length !== 2) return undefined;
  if (index.attribute<number>(conv, "group", 1) !== 1 || ints(conv, "pads", []) !== "1,1,1,1")
    return undefined;
  if (ints(conv, "strides", [1, 1]) !== "1,1" || ints(conv, "dilations", [1, 1]) !== "1,1") return undefined;

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
 * R0 to R5 for a block of a Conv-4: all of it in the runtime's blocked layout (R0), batch norm after pooling (R1),
 * pooling without indices (R2), batch norm's gradient as one affine pass (R3), weight gradients as products of planes
 * (R4), the first layer by algebra (R5).
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
  for (const pool of graph.nodes) {
    const index = indexOf(current);
    const now = current.nodes.find(({ name }) => name === pool.name);
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
    const x = first ? image : layout.toBlocked(image);

    const sign = g.Where(g.Less(gamma, 0), g.constant(scalar(-1)), g.constant(scalar(1)));
    const column = (v: Value): Value => g.Reshape(v, g.ints([outer, 1, 1, 1]));
    const signed = layout.weights(g.Mul(w, column(sign)));
    const even = height % 2 === 0 && width % 2 === 0;
    const algebra = first && even ? patchAlgebra(g, layout, x, w) : undefined;
    const parts = even ? evenParts(layout, x, signed) : oddParts(layout, x, signed);
    const pooled = poolPhases(g, parts.phases);
    const p = pooled.largest;

    const count = n * height * width;
    const { mu, spread } = algebra
      ? { mu: g.Mul(sign, algebra.mean), spread: algebra.variance }
      : momentsOf(g, layout, parts.whole, count);
    const inverse = g.Reciprocal(g.Sqrt(g.Add(spread, epsilon)));
    const k = g.Mul(g.Abs(gamma), inverse);
    const q = layout.affine(p, k, g.Sub(beta, g.Mul(k, mu)), { relu: true });
    replace(pool.outputs[0]!, layout.toPlain(q));
    const running = (before: Value, value: Value): Value =>
      g.Add(g.Mul(before, momentum), g.Mul(value, 1 - momentum));
    replace(norm.outputs[1]!, running(mean, g.Mul(sign, mu)));
    replace(norm.outputs[2]!, running(variance, spread));

    // With y the signed convolution: dy/k = U + c1·y + c0, where U is the unpooled gradient.
    const d = g.Mul(layout.toBlocked(g.value(match.dy)), step(g, q));
    const db = layout.total([d]);
    replace(match.dbeta, db);
    if (algebra) {
      const { dw, slope } = algebra.gradients({ spread: pooled.spread(d), db, sign, inverse, k });
      replace(match.dgamma, g.Mul(sign, slope));
      replace(match.dw, dw);
      return;
    }
    const slope = g.Mul(inverse, g.Sub(layout.total([g.Mul(d, p)]), g.Mul(mu, db)));
    replace(match.dgamma, g.Mul(sign, slope));
    const c1 = g.Mul(g.Mul(inverse, slope), -1 / count);
    const c0 = g.Sub(g.Mul(db, -1 / count), g.Mul(c1, mu));
    const dy = parts.join(g, pooled.spread(d).phases, c1, c0);

    const scale = column(g.Mul(sign, k));
    const gradient = first ? patchesWeightGradient : blockedWeightGradient;
    replace(match.dw, g.Mul(gradient(g, layout, x, dy), scale));
    if (match.dx !== undefined) {
      const back = layout.weights(swapAndFlip(g, g.Mul(w, scale)));
      replace(match.dx, layout.toPlain(layout.conv(dy, back, { kernel: [3, 3], pads: [1, 1, 1, 1] })));
    }
  });
  const outputs = Object.fromEntries(graph.outputs.map(({ name }) => [name, g.value(name)]));
  const whole = g.build(outputs, [...replaced.values()]);
  const rewritten = substitute(whole, replaced);
  // Somebody else reads what lies between: then the block was computed twice, and nothing is won.
  return rewritten.nodes.some(({ name }) => name === conv.name) ? undefined : rewritten;
}

/** Mean and variance from the sums of y and of y². */
function momentsOf(g: Builder, layout: Layout, whole: readonly Value[], count: number) {
  const mu = g.Mul(layout.total(whole), 1 / count);
  const square = g.Mul(layout.total(whole, true), 1 / count);
  return { mu, spread: g.Max(g.Sub(square, g.Mul(mu, mu)), 0) };
}

const scalar = (value: number) => ({ dtype: "float32", dims: [], data: Float32Array.of(value) }) as const;

/** The four phases of the convolution, and how their gradients become that of the whole. */
interface Parts {
  readonly phases: Phases;
  /** What adds up to all elements of the convolution. */
  readonly whole: readonly Value[];
  join(g: Builder, spread: Phases, c1: Value, c0: Value): Value;
}

/** Even sizes: four convolutions of stride 2 give the phases without a pass to take them apart. */
function evenParts(layout: Layout, x: Value, weights: Value): Parts {
  const phase = (a: number, b: number): Value =>
    layout.conv(x, weights, { kernel: [3, 3], strides: [2, 2], pads: [1 - a, 1 - b, a, b] });
  const phases = [
    [phase(0, 0), phase(0, 1)],
    [phase(1, 0), phase(1, 1)],
  ] as const;
  return {
    phases,
    whole: phases.flat(),
    join: (g, spread, c1, c0) => {
      const centred = phases.map((row, a) =>
        row.map((y, b) => layout.affine(y, c1, c0, { sum: spread[a]![b] })),
      );
      return interleave(g, layout, centred as unknown as Phases);
    },
  };
}

/** Odd sizes: the last row or column belongs to no window, but to the statistics and to the gradient. */
function oddParts(layout: Layout, x: Value, weights: Value): Parts {
  const y = layout.conv(x, weights, { kernel: [3, 3], pads: [1, 1, 1, 1] });
  const phase = (a: number, b: number): Value => {
    const taps = [0, 1].map((i) => [0, 1].map((j) => Number(i === a && j === b)));
    return layout.spread(y, taps, { strides: [2, 2] });
  };
  const phases = [
    [phase(0, 0), phase(0, 1)],
    [phase(1, 0), phase(1, 1)],
  ] as const;
  return {
    phases,
    whole: [y],
    join: (g, spread, c1, c0) => {
      const [n, c, h, w] = y.shape as readonly number[] as [number, number, number, number];
      const even = interleave(g, layout, spread);
      const view = g.Reshape(even, g.ints([n * (c / layout.block), h - (h % 2), w - (w % 2), layout.block]));
      const padded = g.Pad(view, g.ints([0, 0, 0, 0, 0, h % 2, w % 2, 0]));
      return layout.affine(y, c1, c0, { sum: g.Reshape(padded, g.ints([n, c, h, w])) });
    },
  };
}
