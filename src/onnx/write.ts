import {
  type Attribute,
  bytesOfTensor,
  dtypeCodes,
  type Graph,
  type Tensor,
  UNKNOWN,
  type ValueInfo,
} from "../graph/index.ts";
import { attributeTypes, type Model } from "./model.ts";
import { encode, type Message } from "./schema.ts";

const text = new TextEncoder();

/** The largest number that a file can hold stands for "to the end" in old slices, and is no exact double. */
function int64(value: number): bigint {
  return value >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(value);
}

function tensorMessage(name: string | undefined, tensor: Tensor): Message<"Tensor"> {
  return {
    name,
    dims: tensor.dims.map(BigInt),
    dataType: dtypeCodes[tensor.dtype],
    rawData: bytesOfTensor(tensor),
    floatData: [],
    int32Data: [],
    int64Data: [],
    doubleData: [],
    external: [],
  };
}

function attributeMessage(name: string, attribute: Attribute): Message<"Attribute"> {
  const message: Message<"Attribute"> = {
    name,
    type: attributeTypes[attribute.type],
    floats: [],
    ints: [],
    strings: [],
  };
  switch (attribute.type) {
    case "float":
      return { ...message, float: attribute.value };
    case "int":
      return { ...message, int: int64(attribute.value) };
    case "string":
      return { ...message, string: text.encode(attribute.value) };
    case "floats":
      return { ...message, floats: [...attribute.value] };
    case "ints":
      return { ...message, ints: attribute.value.map(int64) };
    case "strings":
      return { ...message, strings: attribute.value.map((value) => text.encode(value)) };
    case "tensor":
      return { ...message, tensor: tensorMessage(undefined, attribute.value) };
  }
}

function valueMessage({ name, dtype, shape }: ValueInfo): Message<"ValueInfo"> {
  const dims = shape?.map((dim) =>
    typeof dim === "number" ? { value: BigInt(dim) } : dim === UNKNOWN ? {} : { symbol: dim },
  );
  return { name, type: { tensor: { elementType: dtypeCodes[dtype], shape: dims && { dims } } } };
}

/** The bytes of a model file; the same model always gives the same bytes. */
export function writeModel(model: Model): Uint8Array {
  const { graph } = model;
  return encode("Model", {
    irVersion: BigInt(model.irVersion),
    producerName: model.producer.name,
    producerVersion: model.producer.version,
    domain: model.domain,
    modelVersion: BigInt(model.version),
    opsets: Object.entries(graph.opsets).map(([domain, version]) => ({ domain, version: BigInt(version) })),
    metadata: Object.entries(model.metadata).map(([key, value]) => ({ key, value })),
    functions: [],
    graph: {
      name: graph.name,
      nodes: graph.nodes.map((node) => ({
        name: node.name,
        op: node.op,
        domain: node.domain,
        inputs: [...node.inputs],
        outputs: [...node.outputs],
        attributes: Object.entries(node.attributes).map(([name, value]) => attributeMessage(name, value)),
      })),
      initializers: [...graph.initializers].map(([name, value]) => tensorMessage(name, value)),
      inputs: graph.inputs.map(valueMessage),
      outputs: graph.outputs.map(valueMessage),
      sparseInitializers: [],
    },
  });
}

/** A model file around a graph that was made here. `metadata` is free text by key. */
export function modelOf(graph: Graph, metadata: Readonly<Record<string, string>> = {}): Model {
  return {
    irVersion: 9,
    producer: { name: "protoline", version: "" },
    domain: "",
    version: 0,
    metadata,
    graph,
  };
}
