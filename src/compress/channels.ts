import { type Graph, type Node, numbersOf, type Shape, UNKNOWN, verify } from "../graph/index.ts";

/** Where a constant has an axis of channels: element `i` of the axis is channel `ids[i]`. */
export interface Slot {
  readonly constant: string;
  readonly axis: number;
  /** What a channel's part of the constant does: makes it, scales it, or reads it. */
  readonly role: "makes" | "scales" | "reads";
  readonly ids: readonly number[];
}

/** Channels that stand side by side in one width, as those of a residual stream. */
export interface Layer {
  /** First output of the first node that makes them. */
  readonly name: string;
  /** What can only go together, everything that additions and depthwise convolutions tie, by its root. */
  readonly groups: readonly number[];
  /** Channels of the width that one group takes: more than one under grouped convolutions. */
  readonly perGroup: number;
}

export interface Channels {
  readonly slots: readonly Slot[];
  /** Of each value whose channels are known, axis 1. */
  readonly values: ReadonlyMap<string, readonly number[]>;
  /** What may be pruned. Channels of the input, of the embedding and of what is not understood are in none. */
  readonly layers: readonly Layer[];
  /** The group of a channel; equal numbers go together. */
  root(id: number): number;
}

const sameChannels: ReadonlySet<string> = new Set(
  "Relu Clip LeakyRelu HardSwish HardSigmoid Sigmoid Tanh Gelu Erf Softplus Identity Neg Abs Sqrt Exp Reciprocal Dropout MaxPool AveragePool GlobalAveragePool Cast".split(
    " ",
  ),
);
const elementwise: ReadonlySet<string> = new Set("Add Sub Mul Div Max Min PRelu".split(" "));

/**
 * Follows every channel through a graph: which constants hold a part of it, and which channels are tied to each other.
 * A channel is a number; additions, depthwise and grouped convolutions join the numbers that must live or die together.
 */
export function channelsOf(graph: Graph): Channels {
  const parents: number[] = [];
  const pinned: boolean[] = [];
  const root = (id: number): number => {
    let at = id;
    while (parents[at] !== at) {
      parents[at] = parents[parents[at]!]!;
      at = parents[at]!;
    }
    return at;
  };
  const tie = (a: number, b: number): void => {
    const [low, high] = [root(a), root(b)].sort((x, y) => x - y) as [number, number];
    parents[high] = low;
    if (pinned[high]) pinned[low] = true;
  };
  const tieAll = (a: readonly number[], b: readonly number[]): void => {
    for (const [i, id] of a.entries()) tie(id, b[i]!);
  };
  const fresh = (count: number): number[] =>
    Array.from({ length: count }, () => {
      pinned.push(false);
      return parents.push(parents.length) - 1;
    });
  const pin = (ids: readonly number[] | undefined): void => {
    for (const id of ids ?? []) pinned[root(id)] = true;
  };

  const types = verify(graph);
  const shapeOf = (name: string): Shape => types.get(name)?.shape ?? [];
  const values = new Map<string, readonly number[]>();
  const slots = new Map<string, Slot>();
  const made: { readonly name: string; readonly ids: readonly number[] }[] = [];

  /** Notes what an axis of a constant holds; a constant that two nodes share ties their channels. */
  const claim = (constant: string, axis: number, role: Slot["role"], ids: readonly number[]): void => {
    const key = `${axis} ${constant}`;
    const before = slots.get(key);
    if (before) tieAll(ids, before.ids);
    else slots.set(key, { constant, axis, role, ids });
  };
  const make = (node: Node, count: number): readonly number[] => {
    const ids = fresh(count);
    made.push({ name: node.outputs[0]!, ids });
    return ids;
  };
  const constant = (name: string | undefined) => graph.initializers.get(name ?? "");

  const conv = (node: Node, x: readonly number[]): readonly number[] | undefined => {
    const [, w, b] = node.inputs;
    const weights = constant(w);
    if (!weights || (b && !constant(b))) return undefined;
    const [outputs, perGroup] = weights.dims as [number, number];
    const group = Number(node.attributes.group?.value ?? 1);
    let ids: readonly number[];
    if (group > 1 && perGroup === 1) {
      // Depthwise: each output channel lives with the one that it reads.
      ids = make(node, outputs);
      for (const [o, id] of ids.entries()) tie(id, x[Math.floor((o * group) / outputs)]!);
      claim(w!, 0, "scales", ids);
    } else {
      ids = make(node, outputs);
      const each = outputs / group;
      // The groups stay equally wide: what one loses, all lose.
      for (const [o, id] of ids.entries()) tie(id, ids[o % each]!);
      for (const [i, id] of x.entries()) tie(id, x[i % perGroup]!);
      claim(w!, 0, "makes", ids);
      claim(w!, 1, "reads", x.slice(0, perGroup));
    }
    if (b) claim(b, 0, "scales", ids);
    return ids;
  };

  const product = (node: Node, x: readonly number[]): readonly number[] | undefined => {
    const [, w, c] = node.inputs;
    const weights = constant(w);
    const plain = (key: string) => !node.attributes[key]?.value;
    if (weights?.dims.length !== 2 || !plain("transA") || (c && constant(c)?.dims.length !== 1))
      return undefined;
    const [reads, makes] = node.op === "Gemm" && !plain("transB") ? [1, 0] : [0, 1];
    if (weights.dims[reads] !== x.length) return undefined;
    const ids = make(node, weights.dims[makes]!);
    claim(w!, makes, "makes", ids);
    claim(w!, reads, "reads", x);
    if (c) {
      if (constant(c)!.dims[0] !== ids.length) return undefined;
      claim(c, 0, "scales", ids);
    }
    return ids;
  };

  /** What broadcasts element by element: operands of all channels are tied, single numbers have no part in it. */
  const together = (node: Node): readonly number[] | undefined => {
    const rank = shapeOf(node.outputs[0]!).length;
    const lists: (readonly number[])[] = [];
    for (const name of node.inputs) {
      const shape = shapeOf(name);
      const axis = 1 - (rank - shape.length);
      const size = axis < 0 ? 1 : shape[axis];
      if (size === 1 && !values.has(name)) continue;
      const own = values.get(name);
      if (own && axis === 1) lists.push(own);
      else if (constant(name) && typeof size === "number") {
        const ids = fresh(size);
        claim(name, axis, "scales", ids);
        lists.push(ids);
      } else return undefined;
    }
    const [first] = lists;
    if (!first || lists.some((list) => list.length !== first.length)) return undefined;
    for (const list of lists) tieAll(list, first);
    return first;
  };

  /** `[N, C, …]` → `[N, C·…]`: each channel becomes as many features as it has places. */
  const flat = (node: Node, x: readonly number[]): readonly number[] | undefined => {
    const [before, after] = [shapeOf(node.inputs[0]!), shapeOf(node.outputs[0]!)];
    if (after.length !== 2 || before[0] !== after[0] || before[0] === UNKNOWN) return undefined;
    const places = Number(after[1]) / x.length;
    if (!Number.isInteger(places)) return undefined;
    if (node.op === "Reshape" && !openReshape(graph, node)) return undefined;
    return x.flatMap((id) => Array<number>(places).fill(id));
  };

  const follow = (node: Node): readonly number[] | undefined => {
    const [x] = node.inputs.map((name) => values.get(name));
    if (elementwise.has(node.op)) return together(node);
    if (node.op === "Concat") {
      const parts = node.inputs.map((name) => values.get(name));
      if (parts.some((part) => !part)) return undefined;
      const axis = Number(node.attributes.axis?.value);
      if (axis === 1 || axis === 1 - shapeOf(node.outputs[0]!).length) return parts.flatMap((part) => part!);
      for (const part of parts) tieAll(part!, parts[0]!);
      return parts[0];
    }
    if (!x) return undefined;
    if (node.op === "Conv") return conv(node, x);
    if (node.op === "Gemm" || node.op === "MatMul") return product(node, x);
    if (sameChannels.has(node.op)) return x;
    if (node.op === "BatchNormalization") {
      if (node.inputs.slice(1).some((name) => !constant(name))) return undefined;
      for (const name of node.inputs.slice(1)) claim(name, 0, "scales", x);
      return x;
    }
    if (node.op === "Flatten" || node.op === "Reshape") return flat(node, x);
    if (/^Reduce(Mean|Sum|Max|Min|L2|SumSquare)$/.test(node.op)) {
      const axes = constant(node.inputs[1]);
      const rank = shapeOf(node.inputs[0]!).length;
      const over = axes ? [...numbersOf(axes)].map((axis) => (axis + rank) % rank) : [];
      // Over space alone; a reduction over nothing named is one over all.
      return over.length > 0 && over.every((axis) => axis > 1) ? x : undefined;
    }
    return undefined;
  };

  for (const { name, shape } of graph.inputs) {
    const ids = fresh(Number(shape?.[1]) || 0);
    values.set(name, ids);
    pin(ids);
  }
  for (const node of graph.nodes) {
    const ids = follow(node);
    if (ids && ids.length === shapeOf(node.outputs[0]!)[1]) values.set(node.outputs[0]!, ids);
    // What is not understood keeps all that goes into it.
    else for (const name of node.inputs) pin(values.get(name));
  }
  for (const { name } of graph.outputs) pin(values.get(name));
  // A constant that somebody reads in a way that was not followed keeps its channels.
  const claimed = new Set([...slots.values()].map(({ constant }) => constant));
  for (const node of graph.nodes)
    if (!values.has(node.outputs[0]!))
      for (const name of node.inputs)
        if (claimed.has(name)) for (const slot of slots.values()) if (slot.constant === name) pin(slot.ids);

  return { slots: [...slots.values()], values, layers: layersOf(made, root, (id) => pinned[id]!), root };
}

/** Whether a reshape leaves the features to be counted: `[0 or −1 …, −1]` of a `[N, C, …]`. */
export function openReshape(graph: Graph, node: Node): boolean {
  const target = graph.initializers.get(node.inputs[1] ?? "");
  const dims = target && [...numbersOf(target)];
  return dims?.length === 2 && dims[1] === -1 && !node.attributes.allowzero?.value;
}

/** Groups by the widths in which they stand, in the order of the nodes that make them. */
function layersOf(
  made: readonly { readonly name: string; readonly ids: readonly number[] }[],
  root: (id: number) => number,
  isPinned: (root: number) => boolean,
): Layer[] {
  const layerOf = new Map<number, number>();
  const merged: number[] = [];
  const find = (layer: number): number => (merged[layer] === layer ? layer : find(merged[layer]!));
  for (const { ids } of made) {
    const own = merged.push(merged.length) - 1;
    for (const id of ids) {
      const before = layerOf.get(root(id));
      if (before === undefined) layerOf.set(root(id), own);
      else merged[Math.max(find(before), find(own))] = Math.min(find(before), find(own));
    }
  }
  const layers = new Map<number, { name: string; width: number; groups: number[] }>();
  const seen = new Set<number>();
  for (const { name, ids } of made)
    for (const id of ids) {
      const own = root(id);
      if (seen.has(own)) continue;
      seen.add(own);
      const key = find(layerOf.get(own)!);
      const layer = layers.get(key) ?? { name, width: ids.length / new Set(ids.map(root)).size, groups: [] };
      layers.set(key, layer);
      if (!isPinned(own)) layer.groups.push(own);
    }
  return [...layers.values()]
    .filter(({ groups }) => groups.length > 0)
    .map(({ name, width, groups }) => ({ name, groups, perGroup: Math.max(1, Math.round(width)) }));
}
