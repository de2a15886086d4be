import { ProtolineError } from "../core/index.ts";
import { type Attribute, type Graph, type Node, OPSET, type Tensor, tensor } from "../graph/index.ts";
import type { Model } from "./model.ts";

/** Attributes that later operator sets turned into inputs: their places among the inputs. */
const movedAttributes: Readonly<Record<string, readonly string[]>> = {
  ReduceSum: ["", "axes"],
  ReduceMean: ["", "axes"],
  ReduceMax: ["", "axes"],
  ReduceMin: ["", "axes"],
  ReduceSumSquare: ["", "axes"],
  ReduceL2: ["", "axes"],
  Squeeze: ["", "axes"],
  Unsqueeze: ["", "axes"],
  Split: ["", "split"],
  Clip: ["", "min", "max"],
  Pad: ["", "pads", "value"],
  Slice: ["", "starts", "ends", "axes"],
  Dropout: ["", "ratio"],
};

/** Attributes that were dropped, and say nothing that Protoline does not do anyway. */
const dropped: Readonly<Record<string, readonly string[]>> = {
  BatchNormalization: ["spatial", "is_test"],
  Dropout: ["is_test"],
};

const OLDEST = 7;

function tensorOf(attribute: Attribute): Tensor | undefined {
  switch (attribute.type) {
    case "tensor":
      return attribute.value;
    case "float":
      return tensor("float32", [attribute.value], []);
    case "floats":
      return tensor("float32", attribute.value);
    case "int":
      return tensor("int64", [attribute.value], []);
    case "ints":
      return tensor("int64", attribute.value);
    default:
      return undefined;
  }
}

/**
 * The same model with every node in the form of operator set {@link OPSET}, as graph/ wants it for training, and its
 * `Constant` nodes turned into constants. Models of set 7 to 13 differ in that some inputs were attributes, and in
 * that Softmax flattened what it normalised.
 *
 * @throws MODEL_UNSUPPORTED for operator sets before 7 or after the newest that is known.
 */
export function upgrade(model: Model): Model {
  const { graph } = model;
  const version = graph.opsets[""] ?? 0;
  if (version < OLDEST || version > OPSET + 5)
    throw new ProtolineError("MODEL_UNSUPPORTED", {
      expected: `standard operators of set ${OLDEST} to ${OPSET + 5}`,
      got: `set ${version}`,
      todo: `Export the model for operator set ${OPSET}.`,
    });
  const initializers = new Map(graph.initializers);
  const nodes: Node[] = [];
  const names = new Set([...initializers.keys(), ...graph.nodes.flatMap(({ outputs }) => outputs)]);
  const fresh = (stem: string): string => {
    let name = stem;
    while (names.has(name)) name += "_";
    names.add(name);
    return name;
  };
  for (const original of graph.nodes) {
    const first = original.outputs[0] ?? "";
    const [constant] = Object.values(original.attributes);
    const value = original.op === "Constant" && constant ? tensorOf(constant) : undefined;
    if (value) {
      initializers.set(first, value);
      continue;
    }
    const node = { ...original, inputs: [...original.inputs], attributes: { ...original.attributes } };
    for (const key of dropped[node.op] ?? []) delete node.attributes[key];
    movedAttributes[node.op]?.forEach((key, place) => {
      const attribute = node.attributes[key];
      const moved = attribute && tensorOf(attribute);
      if (!key || !moved) return;
      delete node.attributes[key];
      const name = fresh(`${first}/${key}`);
      initializers.set(name, moved);
      while (node.inputs.length < place) node.inputs.push("");
      node.inputs[place] = name;
    });
    if (version < 13 && (node.op === "Softmax" || node.op === "LogSoftmax"))
      nodes.push(...flatSoftmax(node, fresh));
    else nodes.push(node);
  }
  const upgraded: Graph = { ...graph, opsets: { ...graph.opsets, "": OPSET }, nodes, initializers };
  return { ...model, irVersion: Math.max(model.irVersion, 9), graph: upgraded };
}

/** Before set 13, all axes from `axis` on (default 1) were normalised as one. */
function flatSoftmax(node: Node, fresh: (stem: string) => string): Node[] {
  const [x, y] = [node.inputs[0]!, node.outputs[0]!];
  const [shape, flat, normal] = [fresh(`${y}/shape`), fresh(`${y}/flat`), fresh(`${y}/normal`)];
  const axis = node.attributes.axis ?? { type: "int", value: 1 };
  const step = (op: string, inputs: string[], output: string, attributes: Node["attributes"] = {}): Node => ({
    name: output,
    op,
    domain: "",
    inputs,
    outputs: [output],
    attributes,
  });
  return [
    step("Shape", [x], shape),
    step("Flatten", [x], flat, { axis }),
    step(node.op, [flat], normal, { axis: { type: "int", value: -1 } }),
    step("Reshape", [normal, shape], y),
  ];
}
