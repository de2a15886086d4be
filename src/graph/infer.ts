import { ProtolineError, quote } from "../core/index.ts";
import { BLOCKED, blockedOperators } from "./blocked-operators.ts";
import type { Dim, Graph, Node, Shape, ValueType } from "./graph.ts";
import { numbersOf, type Tensor } from "./graph.ts";
import { type Kernel, kernels } from "./kernels.ts";
import {
  type Attributes,
  isOp,
  Mismatch,
  type Operator,
  type OpName,
  operatorOf,
  sameDim,
  shapeText,
  type Typed,
} from "./operators.ts";

/** A node and its operator in words, for errors. */
export const nodeText = ({ name, op, domain }: Node): string =>
  `${domain ? `${domain}.` : ""}${op} ${quote(name)}`;

export function invalid(where: string, expected: string, got: string, todo?: string): ProtolineError {
  return new ProtolineError("GRAPH_INVALID", {
    expected: `${expected} at ${where}`,
    got,
    todo: todo ?? "Correct this node where the graph is built, or export the model again.",
  });
}

/** The row of a node's operator. */
export function rowOf({ op, domain }: Pick<Node, "op" | "domain">): Operator | undefined {
  if (domain === BLOCKED) return blockedOperators[op];
  return domain === "" && isOp(op) ? operatorOf(op) : undefined;
}

/** The attributes of a node of operator `K`, defaults filled in. */
export function attributesOf<K extends OpName>(node: Node): Attributes<K> {
  const specs = rowOf(node)!.attributes;
  return Object.fromEntries(
    Object.entries(specs).map(([key, spec]) => [key, node.attributes[key]?.value ?? spec[1]]),
  ) as unknown as Attributes<K>;
}

/** Operators that only move elements: what moves may as well be a symbol. */
const movers: ReadonlySet<string> = new Set([
  "Identity",
  "Reshape",
  "Squeeze",
  "Unsqueeze",
  "Concat",
  "Slice",
  "Gather",
  "Cast",
]);
const KNOWN_LIMIT = 64;

/** Elements of a small integer output, when those of the inputs are known: how shapes are computed with in a graph. */
function knownOutput(
  node: Node,
  x: readonly (Typed | undefined)[],
  output: Typed,
): readonly Dim[] | undefined {
  if (output.known) return output.known;
  const shape = output.shape;
  if (output.dtype.startsWith("float") && node.op !== "Cast") return undefined;
  if (shape.length > 1 || (typeof shape[0] === "number" && shape[0] > KNOWN_LIMIT)) return undefined;
  if (!x.every((v) => v === undefined || v.known)) return undefined;
  const kernel = kernels[node.op as OpName] as Kernel<OpName>;
  const elements = x.flatMap((v) => v?.known ?? []);
  if (!elements.every((dim) => typeof dim === "number") && !movers.has(node.op)) return undefined;
  if (!movers.has(node.op)) {
    const arrays = x.map(
      (v) => v && { dims: v.shape as number[], data: Float64Array.from(v.known as number[]), type: v.dtype },
    );
    return [...kernel(arrays as never, attributesOf(node) as never, 1)[0]!.data];
  }
  // Move the places of the elements instead of the elements; what tells where to (all but the first input of most
  // movers) must be numbers.
  const moved = node.op === "Concat" ? x.length : 1;
  const places: Dim[] = [];
  const arrays = x.map((v, i) => {
    if (!v) return undefined;
    const known = v.known!;
    if (i >= moved) return { dims: v.shape as number[], data: Float64Array.from(known as number[]) };
    const data = Float64Array.from(known, (dim) => places.push(dim) - 1);
    return { dims: v.shape as number[], data };
  });
  if (x.slice(moved).some((v) => v?.known?.some((dim) => typeof dim === "string"))) return undefined;
  const identity = { ...node, attributes: node.op === "Cast" ? {} : node.attributes };
  const [y] = (node.op === "Cast" ? (kernels.Identity as Kernel<OpName>) : kernel)(
    arrays as never,
    attributesOf(identity) as never,
    1,
  );
  return Array.from(y!.data, (place) => places[place]!);
}

function checkAttributes(node: Node): void {
  const specs = rowOf(node)!.attributes;
  for (const [key, { type }] of Object.entries(node.attributes)) {
    const spec = specs[key];
    if (!spec || spec[0] !== type)
      throw invalid(
        nodeText(node),
        spec ? `${key} of kind ${spec[0]}` : `attributes ${Object.keys(specs).join(", ") || "none"}`,
        `${key} of kind ${type}`,
      );
  }
}

/**
 * Types of a node's outputs from those of its inputs (`undefined` where an optional one is left out).
 *
 * @throws GRAPH_INVALID, naming the node, where they do not fit.
 */
export function inferNode(node: Node, x: readonly (Typed | undefined)[]): readonly Typed[] {
  const row = rowOf(node);
  if (!row) throw invalid(nodeText(node), "a standard operator that Protoline knows", node.op);
  const { inputs, outputs, infer } = row;
  const within = (n: number, [least, most]: readonly [number, number]): boolean => n >= least && n <= most;
  const range = ([least, most]: readonly [number, number]): string =>
    least === most
      ? `${least}`
      : most === Number.POSITIVE_INFINITY
        ? `${least} or more`
        : `${least} to ${most}`;
  if (!within(x.length, inputs) || x.slice(0, inputs[0]).includes(undefined))
    throw invalid(nodeText(node), `${range(inputs)} inputs`, `${x.filter((v) => v).length}`);
  if (!within(node.outputs.length, outputs))
    throw invalid(nodeText(node), `${range(outputs)} outputs`, `${node.outputs.length}`);
  checkAttributes(node);
  try {
    // Rules of operators with optional inputs look for undefined themselves.
    const types = infer(x as readonly Typed[], attributesOf(node), node.outputs.length);
    return types
      .slice(0, node.outputs.length)
      .map((type) => ({ ...type, known: knownOutput(node, x, type) }));
  } catch (error) {
    if (error instanceof Mismatch) throw invalid(nodeText(node), error.expected, error.got);
    throw error;
  }
}

/** Type of a constant; small integers are known by value. */
export function typeOfTensor(value: Tensor): Typed {
  const known =
    value.data.length <= KNOWN_LIMIT && value.dims.length <= 1 ? [...numbersOf(value)] : undefined;
  return { dtype: value.dtype, shape: value.dims, known };
}

/** Types of inputs and constants that were seen before. */
const leaves = new WeakMap<object, Typed>();

function kept<K extends object, V>(memory: WeakMap<K, V>, key: K, make: () => V): V {
  const before = memory.get(key);
  if (before !== undefined) return before;
  const made = make();
  memory.set(key, made);
  return made;
}

/** Whether nothing can be told of one that could not of the other; an unknown size is like itself alone. */
function sameType(a: Typed | undefined, b: Typed | undefined): boolean {
  if (a === b) return true;
  if (!a || !b || a.dtype !== b.dtype) return false;
  const equal = (some: Shape | undefined, others: Shape | undefined): boolean =>
    some === others ||
    (some !== undefined &&
      some.length === others?.length &&
      some.every((dim, i) => sameDim(dim, others[i]!)));
  return equal(a.shape, b.shape) && equal(a.known, b.known);
}

/** What nodes that were seen before gave for the same types. */
const inferred = new WeakMap<
  Node,
  { readonly x: readonly (Typed | undefined)[]; readonly types: readonly Typed[] }
>();

/**
 * A rewrite leaves most nodes of a graph as they are: their types, and with them half of the time that a graph takes to
 * be made ready, are remembered with the node.
 */
function inferAgain(node: Node, x: readonly (Typed | undefined)[]): readonly Typed[] {
  const before = inferred.get(node);
  if (before && before.x.length === x.length && before.x.every((type, i) => sameType(type, x[i])))
    return before.types;
  const types = inferNode(node, x);
  inferred.set(node, { x, types });
  return types;
}

/**
 * Checks a graph and gives the type of every value in it: each name made once and before it is read, every operator
 * known, arity, attributes, element types and shapes in order, and outputs of the declared types.
 *
 * @throws GRAPH_INVALID, naming the node, what was expected and what was there.
 */
export function verify(graph: Graph): ReadonlyMap<string, Typed> {
  const types = new Map<string, Typed>();
  const define = (name: string, type: Typed, where: () => string): void => {
    if (types.has(name)) throw invalid(where(), "a new name for each value", `${quote(name)} a second time`);
    types.set(name, type);
  };
  for (const input of graph.inputs) {
    const { name, dtype, shape } = input;
    if (!shape) throw invalid(`input ${quote(name)}`, "a shape", "none");
    define(
      name,
      kept(leaves, input, () => ({ dtype, shape })),
      () => `input ${quote(name)}`,
    );
  }
  for (const [name, value] of graph.initializers)
    define(
      name,
      kept(leaves, value, () => typeOfTensor(value)),
      () => `constant ${quote(name)}`,
    );
  for (const node of graph.nodes) {
    const x = node.inputs.map((name) => {
      if (name === "") return undefined;
      const type = types.get(name);
      if (!type) throw invalid(nodeText(node), "inputs that are made before", quote(name));
      return type;
    });
    while (x.length > 0 && x.at(-1) === undefined) x.pop();
    inferAgain(node, x).forEach((type, i) => {
      if (node.outputs[i] !== "") define(node.outputs[i]!, type, () => nodeText(node));
    });
  }
  for (const { name, dtype, shape } of graph.outputs) {
    const made = types.get(name);
    const fits = (declared: Shape, inferred: Shape): boolean =>
      declared.length === inferred.length &&
      declared.every(
        (dim, i) => typeof dim === "string" || typeof inferred[i] === "string" || sameDim(dim, inferred[i]!),
      );
    const where = `output ${quote(name)}`;
    if (!made) throw invalid(where, "a value that a node makes", "none");
    if (made.dtype !== dtype || (shape && !fits(shape, made.shape)))
      throw invalid(where, typeText({ dtype, shape }), typeText(made));
  }
  return types;
}

export const typeText = ({ dtype, shape }: ValueType): string => `${dtype} ${shapeText(shape)}`;
