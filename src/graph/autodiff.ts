import type { Builder, Value } from "./builder.ts";
import { gradientRules, type Rule } from "./gradients.ts";
import { isFloat, type Node } from "./graph.ts";
import { attributesOf, invalid, nodeText } from "./infer.ts";
import { Mismatch, type OpName } from "./operators.ts";
import { filled } from "./pieces.ts";

/**
 * Reverse mode: adds the nodes of ∂loss/∂w for each `w` of `wrt`, of w's shape. They are standard operators that have
 * gradients themselves, so that a gradient may be differentiated again.
 *
 * @param loss a single number, shape `[]` or all ones.
 * @throws GRAPH_INVALID, naming the node, where an operator on the way has no gradient.
 */
export function gradients(g: Builder, loss: Value, wrt: readonly Value[]): readonly Value[] {
  if (!isFloat(loss.dtype) || loss.shape.some((dim) => dim !== 1))
    throw invalid(`loss ${loss.name}`, "one floating-point number", `${loss.dtype} [${loss.shape}]`);
  // The rules append nodes; what is differentiated is what is there now.
  const forward = [...g.nodes];

  const depends = new Set(wrt.map(({ name }) => name));
  for (const node of forward)
    if (node.inputs.some((name) => depends.has(name)))
      for (const name of node.outputs) if (name && isFloat(g.value(name).dtype)) depends.add(name);

  /** The parts of each value's gradient, until their sum is asked for: when every reader has been passed. */
  const parts = new Map<string, Value[]>([[loss.name, [filled(g, loss, 1)]]]);
  const total = (name: string): Value | undefined => {
    const list = parts.get(name);
    if (!list) return undefined;
    const sum = list.reduce((a, b) => g.Add(a, b));
    parts.set(name, [sum]);
    return sum;
  };

  for (const node of forward.toReversed()) {
    if (!node.outputs.some((name) => depends.has(name) && parts.has(name))) continue;
    const flows = node.inputs.map((name) => depends.has(name));
    const dys = node.outputs.map(total);
    g.scope(`d/${node.name}`, () => {
      try {
        const rules = applyRule(g, node, dys);
        node.inputs.forEach((name, i) => {
          const gradient = flows[i] ? rules[i]?.() : undefined;
          if (!gradient) return;
          g.mark({ output: node.outputs[0]!, input: i, dy: dys[0]?.name ?? "", value: gradient.name });
          parts.set(name, [...(parts.get(name) ?? []), gradient]);
        });
      } catch (error) {
        if (error instanceof Mismatch)
          throw invalid(`gradient of ${nodeText(node)}`, error.expected, error.got);
        throw error;
      }
    });
  }
  return wrt.map((w) => total(w.name) ?? filled(g, w, 0));
}

function applyRule(g: Builder, node: Node, dys: readonly (Value | undefined)[]): ReturnType<Rule<OpName>> {
  const y = node.outputs.map((name) => (name ? g.value(name) : undefined));
  if (node.op !== "Split" && dys.slice(1).some((dy) => dy))
    throw new Mismatch("a loss that depends on the first output alone", "another output");
  return (gradientRules[node.op as OpName] as Rule<OpName>)({
    g,
    // An optional input that is left out is undefined to the rule, which looks for it.
    x: node.inputs.map((name) => (name ? g.value(name) : undefined)) as Value[],
    y: y[0] as Value,
    dy: dys[0] as Value,
    dys: node.op === "Split" ? dys.map((dy, i) => dy ?? filled(g, y[i]!, 0)) : [],
    a: attributesOf(node) as never,
  });
}
