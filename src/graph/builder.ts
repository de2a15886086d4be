import { quote } from "../core/index.ts";
import { BLOCKED } from "./blocked-operators.ts";
import {
  type Attribute,
  type DType,
  type GradientMark,
  type Graph,
  type Node,
  renameMark,
  renameNode,
  type Shape,
  sizeOf,
  type Tensor,
  tensor,
  type ValueInfo,
} from "./graph.ts";
import { inferNode, invalid, nodeText, rowOf, typeOfTensor, verify } from "./infer.ts";
import {
  type GivenAttributes,
  OPSET,
  type Operator,
  type OpName,
  operators,
  type Typed,
} from "./operators.ts";
import { removeDead } from "./simplify.ts";

/** A value of a graph under construction. */
export interface Value extends Typed {
  readonly name: string;
}

/** What a node may read. A plain number becomes a constant of the other inputs' element type. */
export type Operand = Value | Tensor | number | undefined;

type Arguments<K extends OpName> = [...inputs: Operand[], attributes: GivenAttributes<K>] | Operand[];

/** One method an operator, under its ONNX name: `g.Conv(x, w, { pads: [1, 1, 1, 1] })` gives the first output. */
type OperatorMethods = { readonly [K in OpName]: (...args: Arguments<K>) => Value };

/**
 * A graph being written. Every node is checked as it is added: a shape that does not fit is an error at the line that
 * wrote it.
 */
export interface Builder extends OperatorMethods {
  input(name: string, dtype: DType, shape: Shape): Value;
  /** A constant; equal small ones are kept once. */
  constant(value: Tensor, name?: string): Value;
  /** A vector of int64, as axes and shapes are given. */
  ints(values: readonly number[]): Value;
  /** Adds a node with several outputs. */
  emit<K extends OpName>(
    op: K,
    inputs: readonly Operand[],
    attributes?: GivenAttributes<K>,
    outputs?: number,
  ): readonly Value[];
  /** Adds a node of the runtime's blocked layout; rewrites alone use these. */
  blocked(op: string, inputs: readonly Operand[], attributes?: object): Value;
  /** Puts `name/` before the names of all nodes that `run` adds. */
  scope<T>(name: string, run: () => T): T;
  /** The value of that name. */
  value(name: string): Value;
  /** The node that makes a value; `undefined` for inputs and constants. */
  producer(value: Value): Node | undefined;
  /** Output `index` of the node that makes `value`; asked for after the fact where it was not there. */
  sibling(value: Value, index: number): Value;
  /** Notes which value is a gradient of which node. */
  mark(mark: GradientMark): void;
  readonly nodes: readonly Node[];
  /** The graph of what the named outputs need, and of the values `kept` besides. */
  build(outputs: Readonly<Record<string, Value>>, kept?: readonly string[]): Graph;
}

function tagged(node: string, op: string, attributes: Operator["attributes"], given: object) {
  const entries: [string, Attribute][] = [];
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const spec = attributes[key];
    if (!spec) throw invalid(`${op} ${quote(node)}`, `attributes ${Object.keys(attributes).join(", ")}`, key);
    entries.push([key, { type: spec[0], value } as Attribute]);
  }
  return Object.fromEntries(entries);
}

const isOperand = (argument: unknown): argument is Operand =>
  argument === undefined ||
  typeof argument === "number" ||
  (typeof argument === "object" && argument !== null && "dtype" in argument);

/** Begins a graph, empty or with everything that `from` holds, under the same names. */
export function createBuilder(name = "graph", from?: Graph): Builder {
  const inputs: ValueInfo[] = [...(from?.inputs ?? [])];
  const initializers = new Map(from?.initializers);
  const nodes: Node[] = [...(from?.nodes ?? [])];
  const values = new Map<string, Value>();
  if (from) for (const [key, type] of verify(from)) values.set(key, { ...type, name: key });
  const shared = new Map<string, Value>();
  const makers = new Map(nodes.flatMap((node, i) => node.outputs.map((output) => [output, i] as const)));
  const marks: GradientMark[] = [...(from?.marks ?? [])];
  let prefix = "";
  let counter = nodes.length;

  const define = (value: Value): Value => {
    values.set(value.name, value);
    return value;
  };
  const fresh = (stem: string): string => {
    let made = `${prefix}${stem}_${counter++}`;
    while (values.has(made)) made = `${prefix}${stem}_${counter++}`;
    return made;
  };
  const taken = (key: string): void => {
    if (values.has(key)) throw invalid(quote(key), "a new name", "one that is in use");
  };

  const constant = (value: Tensor, given?: string): Value => {
    const key =
      given === undefined && sizeOf(value.dims) <= 16
        ? `${value.dtype} ${value.dims} ${value.data.join()}`
        : undefined;
    const before = key === undefined ? undefined : shared.get(key);
    if (before) return before;
    if (given !== undefined) taken(given);
    const made = define({ ...typeOfTensor(value), name: given ?? fresh("c") });
    initializers.set(made.name, value);
    if (key !== undefined) shared.set(key, made);
    return made;
  };

  const resolve = (operand: Operand, dtype: DType | undefined): Value | undefined => {
    if (operand === undefined) return undefined;
    if (typeof operand === "number") return constant(tensor(dtype ?? "float32", [operand], []));
    return "name" in operand ? operand : constant(operand);
  };

  const emitIn = (
    domain: string,
    op: string,
    operands: readonly Operand[],
    given: object = {},
    outputs = 1,
  ): readonly Value[] => {
    const last = operands.findLastIndex((operand) => operand !== undefined);
    const typed = operands.filter((v) => typeof v === "object");
    const dtype = (typed.find((v) => v.dtype !== "bool") ?? typed[0])?.dtype;
    const x = operands.slice(0, last + 1).map((operand) => resolve(operand, dtype));
    const nodeName = fresh(op);
    const node: Node = {
      name: nodeName,
      op,
      domain,
      inputs: x.map((v) => v?.name ?? ""),
      outputs: Array.from({ length: outputs }, (_, i) => (i === 0 ? nodeName : `${nodeName}:${i}`)),
      attributes: tagged(nodeName, op, rowOf({ op, domain })?.attributes ?? {}, given),
    };
    for (const v of x)
      if (v && values.get(v.name)?.name === undefined)
        throw invalid(nodeText(node), "values of this graph", quote(v.name));
    const types = inferNode(node, x);
    for (const output of node.outputs) makers.set(output, nodes.length);
    nodes.push(node);
    return types.map((type, i) => define({ ...type, name: node.outputs[i]! }));
  };

  const emit = (op: OpName, operands: readonly Operand[], given?: object, outputs?: number) =>
    emitIn("", op, operands, given, outputs);

  const methods = Object.fromEntries(
    (Object.keys(operators) as OpName[]).map((op) => [
      op,
      (...args: readonly unknown[]) => {
        const attributes = args.length > 0 && !isOperand(args.at(-1)) ? (args.at(-1) as object) : undefined;
        return emit(op, (attributes ? args.slice(0, -1) : args) as Operand[], attributes)[0]!;
      },
    ]),
  ) as unknown as OperatorMethods;

  return {
    ...methods,
    nodes,
    constant,
    emit,
    blocked: (op, operands, given) => emitIn(BLOCKED, op, operands, given)[0]!,
    input(key, dtype, shape) {
      taken(key);
      inputs.push({ name: key, dtype, shape });
      return define({ name: key, dtype, shape });
    },
    ints: (list) => constant(tensor("int64", list)),
    scope(scopeName, run) {
      const before = prefix;
      prefix += `${scopeName}/`;
      try {
        return run();
      } finally {
        prefix = before;
      }
    },
    value(key) {
      const found = values.get(key);
      if (!found) throw invalid("this graph", "a value of that name", quote(key));
      return found;
    },
    mark: (mark) => marks.push(mark),
    producer: (value) => nodes[makers.get(value.name) ?? -1],
    sibling(value, index) {
      const at = makers.get(value.name)!;
      const node = nodes[at]!;
      const outputs = Array.from(
        { length: Math.max(index + 1, node.outputs.length) },
        (_, i) => node.outputs[i] || `${node.name}:${i}`,
      );
      const types = inferNode(
        { ...node, outputs },
        node.inputs.map((key) => (key ? values.get(key) : undefined)),
      );
      nodes[at] = { ...node, outputs };
      makers.set(outputs[index]!, at);
      return define({ ...types[index]!, name: outputs[index]! });
    },
    build(wanted, kept = []) {
      const renamed = new Map<string, string>();
      const extra: Node[] = [];
      const outputs = Object.entries(wanted).map(([key, value]): ValueInfo => {
        if (key !== value.name) {
          taken(key);
          // Only what a node makes can take the output's name; and only once.
          if (makers.has(value.name) && !renamed.has(value.name) && !Object.hasOwn(wanted, value.name))
            renamed.set(value.name, key);
          else
            extra.push({
              name: key,
              op: "Identity",
              domain: "",
              inputs: [value.name],
              outputs: [key],
              attributes: {},
            });
        }
        return { name: key, dtype: value.dtype, shape: value.shape };
      });
      const rename = (key: string): string => renamed.get(key) ?? key;
      const graph: Graph = {
        name,
        opsets: {
          ...(from?.opsets ?? { "": OPSET }),
          ...(nodes.some(({ domain }) => domain === BLOCKED) && { [BLOCKED]: 1 }),
        },
        inputs,
        outputs,
        nodes: [...nodes, ...extra].map((node) => renameNode(node, rename, rename)),
        initializers,
        marks: marks.map((mark) => renameMark(mark, rename)),
      };
      return removeDead(graph, kept);
    },
  };
}
