import { quote } from "../core/index.ts";
import { type Graph, numbersOf, type Tensor } from "./graph.ts";
import { attributesOf, invalid, nodeText } from "./infer.ts";
import { type Kernel, kernels, type NdArray } from "./kernels.ts";
import { isOp, type OpName } from "./operators.ts";

/**
 * Runs a graph in double precision, plainly and slowly: the reference that gradients and rewrites are checked against.
 * Element types are ignored but for what `Cast` does to integers. `feeds` by input name; gives all outputs by name.
 */
export function evaluate(
  graph: Graph,
  feeds: Readonly<Record<string, NdArray | Tensor>>,
): Readonly<Record<string, NdArray>> {
  const values = new Map<string, NdArray>();
  const plain = (value: NdArray | Tensor): NdArray =>
    "dtype" in value ? { dims: value.dims, data: numbersOf(value), type: value.dtype } : value;
  for (const { name } of graph.inputs) {
    const fed = feeds[name];
    if (!fed) throw invalid(`input ${quote(name)}`, "a value", "none", "Feed every input of the graph.");
    values.set(name, plain(fed));
  }
  for (const [name, value] of graph.initializers) values.set(name, plain(value));
  for (const node of graph.nodes) {
    if (!isOp(node.op) || node.domain !== "")
      throw invalid(nodeText(node), "a standard operator that Protoline knows", node.op);
    const kernel = kernels[node.op] as Kernel<OpName>;
    // An optional input that is left out is undefined to the kernel, which looks for it.
    const x = node.inputs.map((name) => values.get(name)) as NdArray[];
    const results = kernel(x, attributesOf(node) as never, node.outputs.length);
    node.outputs.forEach((name, i) => {
      values.set(name, results[i]!);
    });
  }
  return Object.fromEntries(graph.outputs.map(({ name }) => [name, values.get(name)!]));
}
