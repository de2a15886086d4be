import { ProtolineError, quote } from "../../core/index.ts";
import {
  type Graph,
  type Node,
  type OpName,
  type Tensor,
  tensor,
  type Value,
  weightLayers,
} from "../../graph/index.ts";
import type { Forward, Frame } from "../frame.ts";
import { globalMean } from "../layers.ts";

/** A model from outside that is trained on: its graph, and what of it is the embedding. */
export interface ImportedModel {
  readonly graph: Graph;
  /** Name of the input that takes the images. */
  readonly input: string;
  /** Name of the output, `[N, D]`, or maps `[N, D, H, W]`, whose mean over space is the embedding. */
  readonly output: string;
}

export interface ImportedOptions {
  /** Name or path of the model. */
  readonly model: string;
  /** Share of the layers, counted from the image, that stay as they are, 0 to 1. Default 0. */
  readonly freeze?: number;
  /**
   * Each layer's learning rate is that of the layer after it times this, so that early layers, which suit all pictures,
   * move less (discriminative rates, Howard and Ruder 2018, arXiv:1801.06146). > 0 to 1. Default 1.
   */
  readonly decay?: number;
}

/**
 * The nodes of a model as a backbone: weights and biases of convolutions and products are parameters that start at its
 * own values, all other constants stay. Batch normalisation keeps its running statistics, as one does with pictures that
 * are too few for new ones; its gain and shift are trained. `[N, C, H, W]` → `[N, D]`.
 *
 * @throws GRAPH_INVALID where the model does not take these images, or is made of what no rule knows.
 */
export const imported =
  (
    { graph, input, output }: ImportedModel,
    { freeze = 0, decay = 1 }: Omit<ImportedOptions, "model">,
  ): Forward =>
  (f, x) => {
    const { g } = f;
    const layers = weightLayers(graph);
    const count = 1 + Math.max(-1, ...layers.values());
    const frozen = Math.floor(freeze * count);
    const values = new Map<string, Value>([[input, x]]);
    const read = (name: string): Value | undefined => {
      if (name === "") return undefined;
      const known = values.get(name);
      if (known) return known;
      const value = graph.initializers.get(name);
      if (!value) throw missing(name);
      const layer = layers.get(name);
      const made =
        layer !== undefined && layer >= frozen
          ? parameter(f, name, value as Tensor<"float32">, decay ** (count - 1 - layer))
          : g.constant(value);
      values.set(name, made);
      return made;
    };
    for (const node of graph.nodes) {
      const outputs = inlined(f, node, node.inputs.map(read));
      node.outputs.forEach((name, i) => {
        if (outputs[i]) values.set(name, outputs[i]);
      });
    }
    const y = values.get(output);
    if (!y) throw missing(output);
    return y.shape.length === 4 ? globalMean(f, y) : y;
  };

function parameter(f: Frame, name: string, { data, dims }: Tensor<"float32">, rate: number): Value {
  return f.own({
    // A colon divides what is kept beside a parameter from its name; PyTorch's exporter writes `onnx::Conv_476`.
    name: `imported/${name.replace(/[%:]/g, encodeURIComponent)}`,
    shape: dims,
    init: () => data,
    role: dims.length > 1 ? "weight" : "affine",
    rate,
  });
}

function inlined(f: Frame, node: Node, inputs: readonly (Value | undefined)[]): readonly Value[] {
  const { g } = f;
  const { op, attributes, outputs, name } = node;
  if (op === "Constant") {
    const value = attributes.value;
    if (value?.type === "tensor") return [g.constant(value.value)];
  }
  // Written out, its gradients are those of running statistics; where nothing is trained it stays what the runtime fuses.
  if (op === "BatchNormalization" && f.mode === "train") {
    const [x, gamma, beta, mean, variance] = inputs as Value[];
    const epsilon = attributes.epsilon?.type === "float" ? attributes.epsilon.value : 1e-5;
    const scale = g.Div(gamma, g.Sqrt(g.Add(variance, epsilon)));
    const column = (v: Value): Value =>
      g.Reshape(v, g.constant(tensor("int64", [-1, ...x!.shape.slice(2).map(() => 1)])));
    return [g.Add(g.Mul(x, column(scale)), column(g.Sub(beta, g.Mul(mean, scale))))];
  }
  const plain = Object.fromEntries(Object.entries(attributes).map(([key, { value }]) => [key, value]));
  return g.scope(`imported/${name}`, () => g.emit(op as OpName, inputs, plain as never, outputs.length));
}

const missing = (name: string): ProtolineError =>
  new ProtolineError("GRAPH_INVALID", {
    expected: `a value ${quote(name)} in the imported model`,
    got: "none",
    todo: "Export the model again with the image as its one input, and import it with `protoline models import`.",
  });
