import { type Graph, type Node, sizeOf } from "./graph.ts";
import { typeText, verify } from "./infer.ts";

function attributesText({ attributes }: Node): string {
  const parts = Object.entries(attributes).map(([key, attribute]) => {
    if (attribute.type === "tensor")
      return `${key}=${typeText({ ...attribute.value, shape: attribute.value.dims })}`;
    return `${key}=${Array.isArray(attribute.value) ? `[${attribute.value}]` : attribute.value}`;
  });
  return parts.length > 0 ? `; ${parts.join(", ")}` : "";
}

/**
 * A graph as text for a person, one line a value:
 *
 *     y = Conv(x, w; pads=[1,1,1,1])    float32 [N,64,84,84]
 */
export function print(graph: Graph): string {
  const types = verify(graph);
  const sets = Object.entries(graph.opsets).map(([domain, version]) => `${domain || "onnx"} ${version}`);
  const lines: [string, string][] = [];
  for (const input of graph.inputs) lines.push([`input ${input.name}`, typeText(input)]);
  for (const [name, value] of graph.initializers) {
    const size = sizeOf(value.dims);
    const shown = size <= 8 ? `[${[...value.data].join(",")}]` : `${size} numbers`;
    lines.push([`constant ${name} = ${shown}`, typeText({ dtype: value.dtype, shape: value.dims })]);
  }
  for (const node of graph.nodes) {
    const op = node.domain ? `${node.domain}.${node.op}` : node.op;
    const inputs = node.inputs.map((name) => name || "–").join(", ");
    const made = node.outputs.filter((name) => name);
    lines.push([
      `${made.join(", ")} = ${op}(${inputs}${attributesText(node)})`,
      made.map((name) => typeText(types.get(name)!)).join(", "),
    ]);
  }
  for (const output of graph.outputs)
    lines.push([`output ${output.name}`, typeText(types.get(output.name)!)]);
  const width = Math.min(80, Math.max(...lines.map(([left]) => left.length)));
  return [
    `graph ${graph.name} (${sets.join(", ")}), ${graph.nodes.length} nodes`,
    ...lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
  ].join("\n");
}
