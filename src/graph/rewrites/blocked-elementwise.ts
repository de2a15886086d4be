import { BLOCKED } from "../blocked-operators.ts";
import type { Value } from "../builder.ts";
import type { Graph } from "../graph.ts";
import { attributesOf } from "../infer.ts";
import { type OpName, sameShape } from "../operators.ts";
import { rewriteBlocked } from "./each.ts";

/** Operators that treat every element alike, wherever it lies in memory. */
const elementwise: ReadonlySet<string> = new Set<OpName>([
  ...(["Neg", "Abs", "Sign", "Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh"] as const),
  ...(["Exp", "Log", "Sqrt", "Reciprocal", "Erf", "Gelu", "Softplus", "Clip", "Floor", "Cast"] as const),
  ...(["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Where"] as const),
  ...(["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not"] as const),
]);

/**
 * R0, between the operators that have a blocked form: what is computed element by element stays in the layout of its
 * inputs, so that the layout changes no more than it must.
 *
 * Condition: at least one input comes out of the blocked layout; the others have the same shape or are single numbers.
 */
export function blockedElementwise(graph: Graph, block: number): Graph {
  /** The blocked twin of a plain value. */
  const twins = new Map<string, Value>();
  return rewriteBlocked(graph, block, ({ g, layout, node, replace }) => {
    const output = node.outputs[0]!;
    if (node.domain === BLOCKED && node.op === "ReorderOutput") twins.set(output, g.value(node.inputs[0]!));
    if (node.domain !== "" || !elementwise.has(node.op)) return;
    const { shape, dtype } = g.value(output);
    if (shape.length !== 4 || !node.inputs.some((name) => twins.has(name))) return;
    const inputs: (Value | undefined)[] = [];
    for (const name of node.inputs) {
      const value = name === "" ? undefined : g.value(name);
      const single = value?.shape.every((dim) => dim === 1) ?? true;
      const fits = value !== undefined && sameShape(value.shape, shape);
      if (!single && !twins.has(name) && !(fits && value.dtype === "float32")) return;
      inputs.push(single ? value : (twins.get(name) ?? layout.toBlocked(value!)));
    }
    const twin = g.emit(node.op as OpName, inputs, attributesOf(node))[0]!;
    twins.set(output, twin);
    if (dtype === "float32") replace(output, layout.toPlain(twin));
  });
}
