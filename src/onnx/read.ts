import { ProtolineError, quote } from "../core/index.ts";
import {
  type Attribute,
  arrayFromBytes,
  bytesOf,
  type Dim,
  type DType,
  dtypeCodes,
  type Node,
  sizeOf,
  type Tensor,
  tensor,
  UNKNOWN,
  type ValueInfo,
} from "../graph/index.ts";
import { attributeTypes, type Model } from "./model.ts";
import { decode, type Message } from "./schema.ts";

const broken = (expected: string, got: string, cause?: unknown): ProtolineError =>
  new ProtolineError("MODEL_BROKEN", {
    expected,
    got,
    todo: "Check that the file is a complete .onnx file, and fetch or export it again.",
    cause,
  });

const unsupported = (expected: string, got: string): ProtolineError =>
  new ProtolineError("MODEL_UNSUPPORTED", {
    expected,
    got,
    todo: "Export the model again without this, as one file of plain tensors.",
  });

const dtypes = new Map(Object.entries(dtypeCodes).map(([dtype, code]) => [code, dtype as DType]));
const text = new TextDecoder();

function dtypeOf(code: number | undefined, where: string): DType {
  const dtype = dtypes.get(code ?? 0);
  if (!dtype) throw unsupported(`elements of ${[...dtypes.values()].join(", ")}`, `type ${code} in ${where}`);
  return dtype;
}

function readTensor(message: Message<"Tensor">, where: string): Tensor {
  const dtype = dtypeOf(message.dataType, where);
  if (message.dataLocation === 1 || message.external.length > 0)
    throw unsupported("weights inside the model file", `external data for ${where}`);
  const dims = message.dims.map(Number);
  const size = sizeOf(dims);
  if (!Number.isSafeInteger(size) || dims.some((dim) => dim < 0))
    throw broken("sizes of 0 or more", `${dims.join("x")} in ${where}`);
  const checked = (length: number, unit: string): void => {
    if (length !== (unit === "bytes" ? size * bytesOf(dtype) : size))
      throw broken(`${dims.join("x")} ${dtype} in ${where}`, `${length} ${unit}`);
  };
  if (message.rawData) {
    checked(message.rawData.length, "bytes");
    return { dtype, dims, data: arrayFromBytes(dtype, message.rawData) };
  }
  if (dtype === "int64") {
    checked(message.int64Data.length, "numbers");
    return { dtype, dims, data: BigInt64Array.from(message.int64Data) };
  }
  // Everything below 32 bits, half precision as its bits too, shares one field.
  const values =
    dtype === "float32" ? message.floatData : dtype === "float64" ? message.doubleData : message.int32Data;
  checked(values.length, "numbers");
  if (dtype === "float16") return { dtype, dims, data: Uint16Array.from(values) };
  return tensor(dtype, values, dims);
}

function readAttribute(message: Message<"Attribute">, where: string): Attribute {
  switch (message.type) {
    case attributeTypes.float:
      return { type: "float", value: message.float ?? 0 };
    case attributeTypes.int:
      return { type: "int", value: Number(message.int ?? 0n) };
    case attributeTypes.string:
      return { type: "string", value: text.decode(message.string) };
    case attributeTypes.floats:
      return { type: "floats", value: message.floats };
    case attributeTypes.ints:
      return { type: "ints", value: message.ints.map(Number) };
    case attributeTypes.strings:
      return { type: "strings", value: message.strings.map((bytes) => text.decode(bytes)) };
    case attributeTypes.tensor:
      if (message.tensor) return { type: "tensor", value: readTensor(message.tensor, where) };
  }
  throw unsupported(
    "attributes that are numbers, text or tensors (no graphs inside a node)",
    `kind ${message.type} in ${where}`,
  );
}

function readNode(message: Message<"Node">): Node {
  const name = message.name ?? "";
  const op = message.op ?? "";
  const where = (key: string): string => `attribute ${quote(key)} of ${op} ${quote(name)}`;
  return {
    name,
    op,
    // The standard set has two spellings.
    domain: message.domain === "ai.onnx" ? "" : (message.domain ?? ""),
    inputs: message.inputs,
    outputs: message.outputs,
    attributes: Object.fromEntries(
      message.attributes.map((entry) => [entry.name ?? "", readAttribute(entry, where(entry.name ?? ""))]),
    ),
  };
}

function readValue(message: Message<"ValueInfo">): ValueInfo {
  const name = message.name ?? "";
  const type = message.type?.tensor;
  if (!type) throw unsupported("inputs and outputs that are tensors", `something else at ${quote(name)}`);
  const dim = ({ value, symbol }: Message<"Dimension">): Dim =>
    value === undefined ? symbol || UNKNOWN : Number(value);
  return {
    name,
    dtype: dtypeOf(type.elementType, quote(name)),
    shape: type.shape ? type.shape.dims.map(dim) : null,
  };
}

function parse(bytes: Uint8Array): Message<"Model"> {
  try {
    return decode("Model", bytes);
  } catch (cause) {
    throw broken("an ONNX model", `${bytes.length} bytes that are none`, cause);
  }
}

/**
 * Reads a model file.
 *
 * @throws MODEL_BROKEN where the bytes are no model; MODEL_UNSUPPORTED for external weights, graphs inside nodes,
 * functions of the model's own, sparse weights, and element types beyond {@link DType}.
 */
export function readModel(bytes: Uint8Array): Model {
  const message = parse(bytes);
  const { graph } = message;
  if (!graph || !message.irVersion || graph.outputs.length === 0)
    throw broken("an ONNX model with a graph and an output", `${bytes.length} bytes without one`);
  if (message.functions.length > 0) throw unsupported("standard operators", "functions defined by the model");
  if (graph.sparseInitializers.length > 0) throw unsupported("dense weights", "sparse weights");

  const initializers = new Map(
    graph.initializers.map((entry) => {
      const name = entry.name ?? "";
      return [name, readTensor(entry, quote(name))] as const;
    }),
  );
  return {
    irVersion: Number(message.irVersion),
    producer: { name: message.producerName ?? "", version: message.producerVersion ?? "" },
    domain: message.domain ?? "",
    version: Number(message.modelVersion ?? 0n),
    metadata: Object.fromEntries(message.metadata.map(({ key = "", value = "" }) => [key, value])),
    graph: {
      name: graph.name ?? "",
      opsets: Object.fromEntries(
        message.opsets.map(({ domain = "", version = 0n }) => [
          domain === "ai.onnx" ? "" : domain,
          Number(version),
        ]),
      ),
      // Up to format 3 the weights were listed among the inputs as well.
      inputs: graph.inputs.filter(({ name = "" }) => !initializers.has(name)).map(readValue),
      outputs: graph.outputs.map(readValue),
      nodes: graph.nodes.map(readNode),
      initializers,
    },
  };
}
