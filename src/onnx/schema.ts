import protobuf from "protobufjs/minimal.js";

/**
 * The messages of onnx.proto that a model file needs (https://github.com/onnx/onnx, field numbers of onnx.proto3),
 * as a table, with a reader and a writer over it. Fields that are not in the table are skipped, as protobuf demands;
 * nothing is compiled from text, so it runs under a strict content security policy too.
 */
type Scalar = "int32" | "int64" | "float" | "double" | "string" | "bytes";
type FieldType = Scalar | keyof Schema;
/** [number in the file, type, "many" for a repeated field] */
type Field = readonly [number, FieldType, "many"?];

interface Schema {
  readonly Model: Record<string, Field>;
  readonly OpsetId: Record<string, Field>;
  readonly Entry: Record<string, Field>;
  readonly Graph: Record<string, Field>;
  readonly Node: Record<string, Field>;
  readonly Attribute: Record<string, Field>;
  readonly ValueInfo: Record<string, Field>;
  readonly Type: Record<string, Field>;
  readonly TensorType: Record<string, Field>;
  readonly Shape: Record<string, Field>;
  readonly Dimension: Record<string, Field>;
  readonly Tensor: Record<string, Field>;
}

const schema = {
  Model: {
    irVersion: [1, "int64"],
    producerName: [2, "string"],
    producerVersion: [3, "string"],
    domain: [4, "string"],
    modelVersion: [5, "int64"],
    graph: [7, "Graph"],
    opsets: [8, "OpsetId", "many"],
    metadata: [14, "Entry", "many"],
    // Kept as bytes: only their presence matters, since such a model is refused.
    functions: [25, "bytes", "many"],
  },
  OpsetId: { domain: [1, "string"], version: [2, "int64"] },
  Entry: { key: [1, "string"], value: [2, "string"] },
  Graph: {
    nodes: [1, "Node", "many"],
    name: [2, "string"],
    initializers: [5, "Tensor", "many"],
    inputs: [11, "ValueInfo", "many"],
    outputs: [12, "ValueInfo", "many"],
    sparseInitializers: [15, "bytes", "many"],
  },
  Node: {
    inputs: [1, "string", "many"],
    outputs: [2, "string", "many"],
    name: [3, "string"],
    op: [4, "string"],
    attributes: [5, "Attribute", "many"],
    domain: [7, "string"],
  },
  Attribute: {
    name: [1, "string"],
    float: [2, "float"],
    int: [3, "int64"],
    string: [4, "bytes"],
    tensor: [5, "Tensor"],
    floats: [7, "float", "many"],
    ints: [8, "int64", "many"],
    strings: [9, "bytes", "many"],
    type: [20, "int32"],
  },
  ValueInfo: { name: [1, "string"], type: [2, "Type"] },
  Type: { tensor: [1, "TensorType"] },
  TensorType: { elementType: [1, "int32"], shape: [2, "Shape"] },
  Shape: { dims: [1, "Dimension", "many"] },
  Dimension: { value: [1, "int64"], symbol: [2, "string"] },
  Tensor: {
    dims: [1, "int64", "many"],
    dataType: [2, "int32"],
    floatData: [4, "float", "many"],
    int32Data: [5, "int32", "many"],
    int64Data: [7, "int64", "many"],
    name: [8, "string"],
    rawData: [9, "bytes"],
    doubleData: [10, "double", "many"],
    external: [13, "Entry", "many"],
    dataLocation: [14, "int32"],
  },
} as const satisfies Schema;

type Plain<T> = T extends "int64"
  ? bigint
  : T extends "int32" | "float" | "double"
    ? number
    : T extends "string"
      ? string
      : T extends "bytes"
        ? Uint8Array
        : T extends keyof Schema
          ? Message<T>
          : never;

/** A decoded message: repeated fields are always there, the others only where the file has them. */
export type Message<M extends keyof Schema> = {
  -readonly [F in keyof (typeof schema)[M] as (typeof schema)[M][F] extends readonly [number, unknown, "many"]
    ? F
    : never]: (typeof schema)[M][F] extends readonly [number, infer T, "many"] ? Plain<T>[] : never;
} & {
  -readonly [F in keyof (typeof schema)[M] as (typeof schema)[M][F] extends readonly [number, unknown, "many"]
    ? never
    : F]?: (typeof schema)[M][F] extends readonly [number, infer T] ? Plain<T> : never;
};

const wireTypes: Record<Scalar, number> = { int32: 0, int64: 0, double: 1, string: 2, bytes: 2, float: 5 };
const isScalar = (type: FieldType): type is Scalar => type in wireTypes;
const fieldsOf = (name: keyof Schema): [string, Field][] => Object.entries<Field>(schema[name]);

function toBigInt(value: number | protobuf.Long): bigint {
  return typeof value === "number"
    ? BigInt(value)
    : BigInt.asIntN(64, (BigInt(value.high) << 32n) | BigInt(value.low >>> 0));
}

/** Decodes one message; throws whatever protobufjs throws on bytes that are none. */
export function decode<M extends keyof Schema>(name: M, bytes: Uint8Array): Message<M> {
  const reader = protobuf.Reader.create(bytes);
  const byNumber = new Map(fieldsOf(name).map(([key, field]) => [field[0], { key, field }]));
  const message: Record<string, unknown> = {};
  for (const [key, [, , many]] of fieldsOf(name)) if (many) message[key] = [];

  const value = (type: FieldType): unknown => {
    if (type === "int64") return toBigInt(reader.int64() as number | protobuf.Long);
    return isScalar(type) ? reader[type]() : decode(type, reader.bytes());
  };
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const known = byNumber.get(tag >>> 3);
    const wire = tag & 7;
    if (!known) {
      reader.skipType(wire);
      continue;
    }
    const { key, field } = known;
    const [, type, many] = field;
    const expected = isScalar(type) ? wireTypes[type] : 2;
    if (!many) {
      if (wire !== expected) throw new RangeError(`field ${name}.${key} has wire type ${wire}`);
      message[key] = value(type);
      continue;
    }
    const list = message[key] as unknown[];
    if (wire === expected) list.push(value(type));
    else if (wire === 2) {
      // Packed: the numbers of a repeated field in one run.
      const end = reader.uint32() + reader.pos;
      if (end > reader.len) throw new RangeError(`field ${name}.${key} runs past the end`);
      while (reader.pos < end) list.push(value(type));
    } else throw new RangeError(`field ${name}.${key} has wire type ${wire}`);
  }
  return message as Message<M>;
}

export function encode<M extends keyof Schema>(name: M, message: Message<M>): Uint8Array {
  const writer = protobuf.Writer.create();
  write(writer, name, message);
  return writer.finish();
}

function write(writer: protobuf.Writer, name: keyof Schema, message: object): void {
  const values = message as Record<string, unknown>;
  for (const [key, [number, type, many]] of fieldsOf(name)) {
    const given = values[key];
    if (given === undefined) continue;
    for (const value of many ? (given as unknown[]) : [given]) {
      writer.uint32((number << 3) | (isScalar(type) ? wireTypes[type] : 2));
      if (!isScalar(type)) {
        writer.fork();
        write(writer, type, value as object);
        writer.ldelim();
      } else if (type === "int64") writer.int64((value as bigint).toString());
      else if (type === "string") writer.string(value as string);
      else if (type === "bytes") writer.bytes(value as Uint8Array);
      else writer[type](value as number);
    }
  }
}
