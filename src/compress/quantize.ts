import { ProtolineError } from "../core/index.ts";
import { type Graph, type Node, removeDead, type Tensor, tensor, verify } from "../graph/index.ts";
import { type Affine, affineOf, ends, type QuantizedWeights, quantizeWeights } from "./affine.ts";
import type { Range } from "./histogram.ts";
import { weightsOf } from "./lookup.ts";
import { boundsOf, channelAxis, dropRectifiers, isJoin, type Part, planOf } from "./plan.ts";

export interface QuantizeOptions {
  /** What each value of {@link quantizedValues} comes to. */
  readonly ranges: ReadonlyMap<string, Range>;
  /** Codes of activations: `uint8` with a zero point, or symmetric `int8`. Default `uint8`. */
  readonly activations?: Affine["dtype"];
  /**
   * Bits of the weights. Default 7: processors without VNNI add pairs of products in 16 bits, where 8 bits overflow; with 7
   * they compute what all others compute.
   */
  readonly weightBits?: 7 | 8;
  /** Nodes that stay in floating point, by name or by first output. */
  readonly keepFloat?: readonly string[];
  /**
   * The mean of each channel of each value. Where it is given, what rounded weights make of the mean is taken out of the
   * bias again (Nagel et al. 2019, arXiv:1906.04721, section 4.2).
   */
  readonly means?: ReadonlyMap<string, Float64Array>;
}

/** The values whose ranges {@link quantize} may ask for: what goes into its nodes and comes out of them. */
export function quantizedValues(graph: Graph): readonly string[] {
  const types = verify(graph);
  const values = new Set<string>();
  for (const node of graph.nodes) {
    const weighted = channelAxis(graph, node) !== undefined;
    if (!weighted && !isJoin(node) && !boundsOf(graph, node)) continue;
    for (const name of [...(isJoin(node) ? node.inputs : node.inputs.slice(0, 1)), node.outputs[0]!]) {
      const { dtype, shape } = types.get(name)!;
      if (dtype === "float32" && shape.length > 1 && !graph.initializers.has(name)) values.add(name);
    }
  }
  return [...values];
}

/**
 * The graph in 8-bit whole numbers, in the form of QuantizeLinear/DequantizeLinear pairs around the nodes, which a
 * runtime fuses into its integer kernels. Weights are symmetric int8 with a scale a channel, biases int32 (Jacob et al.
 * 2018, arXiv:1712.05877); input and embedding stay float32.
 *
 * @throws MODEL_UNSUPPORTED where no node can be quantised.
 */
export function quantize(
  graph: Graph,
  { ranges, activations = "uint8", weightBits = 7, keepFloat = [], means }: QuantizeOptions,
): Graph {
  const codesOf = (value: string): Affine | undefined => {
    const range = ranges.get(value);
    return range && affineOf(range, activations);
  };
  const said = (value: string): Range | undefined => {
    const codes = codesOf(value);
    return codes && ends(codes);
  };
  // Behind a rectifier that went, the next addition may be worth it, and the rectifier behind that.
  let bare = graph;
  for (let before = 0; before !== bare.nodes.length; ) {
    before = bare.nodes.length;
    bare = dropRectifiers(bare, planOf(bare, keepFloat), said);
  }
  const parts = planOf(bare, keepFloat);
  if (![...parts.values()].includes("weights"))
    throw new ProtolineError("MODEL_UNSUPPORTED", {
      expected: "a Conv, Gemm or MatMul with constant weights to quantise",
      got: [...new Set(bare.nodes.map(({ op }) => op))].join(", "),
      todo: "Leave this model in floating point, or name fewer nodes that shall stay so.",
    });

  const writer = createWriter(bare, parts, codesOf);
  writer.value(bare.inputs[0]!.name);
  for (const node of bare.nodes) {
    const part = parts.get(node.outputs[0]!);
    if (part === "weights")
      writer.weighted(node, channelAxis(bare, node)!, weightBits, means?.get(node.inputs[0]!));
    else if (part === undefined) writer.push(node, node.inputs.map(writer.plain));
    else
      writer.push(
        node,
        node.inputs.map((name, i) => (i > 0 && part === "move" ? name : writer.read(name))),
      );
    if (part === "move") writer.inherit(node.outputs[0]!, node.inputs[0]!);
    for (const output of node.outputs) writer.value(output);
  }
  const quantised = removeDead({
    ...bare,
    nodes: writer.nodes,
    initializers: writer.initializers,
  });
  verify(quantised);
  return quantised;
}

/** Writes the pairs. Every value that is rounded has one, and its readers read what comes out of it. */
function createWriter(
  graph: Graph,
  parts: ReadonlyMap<string, Part>,
  codesOf: (value: string) => Affine | undefined,
) {
  const nodes: Node[] = [];
  const initializers = new Map(graph.initializers);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const wanted = new Set(
    graph.nodes.flatMap((node) => {
      const part = parts.get(node.outputs[0]!);
      const inputs = part === undefined ? [] : part === "join" ? node.inputs : node.inputs.slice(0, 1);
      return [...inputs, ...(part === undefined ? [] : node.outputs)];
    }),
  );
  const codes = new Map<string, Affine>();
  const add = (op: string, inputs: readonly string[], output: string, axis?: number): void =>
    void nodes.push({
      name: output,
      op,
      domain: "",
      inputs,
      outputs: [output],
      attributes: axis === undefined ? {} : { axis: { type: "int", value: axis } },
    });
  const constant = (name: string, value: Tensor): string => {
    initializers.set(name, value);
    return name;
  };
  const rounded = (name: string): string => (codes.has(name) ? `${name}/dq` : name);

  return {
    nodes,
    initializers,
    push: (node: Node, inputs: readonly string[]) => void nodes.push({ ...node, inputs }),
    /** What a node in whole numbers reads. */
    read: rounded,
    /** What a node in floating point reads: what was rounded anyway, or the value as it is. */
    plain: (name: string): string => (parts.has(name) ? rounded(name) : name),
    /** Gives `output` the codes of `input`. */
    inherit(output: string, input: string) {
      const before = codes.get(input);
      if (before && wanted.has(output)) codes.set(output, before);
    },
    /** Rounds a value that is there now, where somebody reads it in whole numbers or it was made in them. */
    value(name: string) {
      if (!wanted.has(name) || outputs.has(name)) return;
      const own = codes.get(name) ?? codesOf(name);
      if (!own) return;
      codes.set(name, own);
      const scale = constant(`${name}/scale`, tensor("float32", [own.scale], []));
      const zero = constant(`${name}/zero`, tensor(own.dtype, [own.zero], []));
      add("QuantizeLinear", [name, scale, zero], `${name}/q`);
      add("DequantizeLinear", [`${name}/q`, scale, zero], `${name}/dq`);
    },
    /** A product with weights: w ≈ s·codes, b ≈ (s·scale of x)·codes. */
    weighted(node: Node, axis: number, bits: 7 | 8, mean: Float64Array | undefined) {
      const [x, w, b] = node.inputs as [string, string, string?];
      const step = codes.get(x)!.scale;
      const weights = weightsOf(graph, w)!;
      const own = node.outputs[0]!;
      const given = b ? weightsOf(graph, b)!.data : undefined;
      // Where a filter is next to nothing beside its bias, its scale is what keeps the bias within 32 bits.
      const least = (c: number): number => (given ? Math.abs(given[c]!) / (step * 2 ** 30) : 0);
      const rounding = quantizeWeights(weights, axis, bits, least);
      const moved = mean && node.op === "Conv" ? shiftOf(weights, rounding, mean, node) : undefined;
      const bias = moved ? moved.map((shift, c) => (given?.[c] ?? 0) - shift) : given;
      const dequantized = (stem: string, value: Tensor, scale: Float32Array, along: number): string => {
        const scales = constant(`${stem}/scale`, tensor("float32", scale));
        // A zero point that is left out is 0; ONNX Runtime's integer kernels want that of the weights written down.
        const zeros =
          value.dtype === "int8"
            ? [
                constant(
                  `${stem}/zero`,
                  tensor(
                    "int8",
                    scale.map(() => 0),
                  ),
                ),
              ]
            : [];
        add("DequantizeLinear", [constant(stem, value), scales, ...zeros], `${stem}/dq`, along);
        return `${stem}/dq`;
      };
      const inputs = [rounded(x), dequantized(`${own}/w`, rounding.codes, rounding.scales, axis)];
      if (bias) {
        const fine = rounding.scales.map((scale) => scale * step);
        const whole = Float64Array.from(bias, (value, c) => Math.round(value / fine[c]!));
        inputs.push(dequantized(`${own}/b`, tensor("int32", whole), fine, 0));
      }
      nodes.push({ ...node, inputs });
    },
  };
}

/** What the rounding of a convolution's weights adds to the mean of each output channel. */
function shiftOf(
  { data, dims }: Tensor<"float32">,
  { codes, scales }: QuantizedWeights,
  mean: Float64Array,
  { attributes }: Node,
): Float64Array {
  const [outputs, perGroup] = dims as [number, number];
  const group = Number(attributes.group?.value ?? 1);
  const taps = data.length / outputs / perGroup;
  return Float64Array.from(scales, (scale, o) => {
    const first = Math.floor((o * group) / outputs) * perGroup;
    let shift = 0;
    for (let i = 0; i < perGroup; i++)
      for (let tap = 0; tap < taps; tap++) {
        const at = (o * perGroup + i) * taps + tap;
        shift += (scale * codes.data[at]! - data[at]!) * mean[first + i]!;
      }
    return shift;
  });
}
