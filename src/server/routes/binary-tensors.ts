/**
 * The binary tensor data extension of the Open Inference Protocol: the bytes of tensors stand behind the JSON, in its order,
 * little-endian and row by row. https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
 */

/** A tensor of a reply. */
export interface Tensor {
  readonly name: string;
  readonly datatype: "FP32" | "INT64" | "BYTES";
  readonly shape: readonly number[];
  readonly data: Float32Array | readonly (number | string)[];
}

/** The numbers, or for each text its length in four bytes and itself. */
export function toBytes({ datatype, data }: Tensor): Uint8Array {
  if (datatype === "BYTES")
    return Buffer.concat(
      Array.from(data, (text) => {
        const bytes = Buffer.from(String(text));
        const length = Buffer.alloc(4);
        length.writeUInt32LE(bytes.length);
        return Buffer.concat([length, bytes]);
      }),
    );
  if (datatype === "FP32") {
    const { buffer, byteOffset, byteLength } =
      data instanceof Float32Array ? data : Float32Array.from(data, Number);
    return new Uint8Array(buffer, byteOffset, byteLength);
  }
  return new Uint8Array(BigInt64Array.from(data, (value) => BigInt(value)).buffer);
}

/** A reply's JSON and what stands behind it. `asBytes` chooses the outputs by name. */
export function layOutReply(
  reply: { readonly outputs: readonly Tensor[] },
  asBytes: (name: string) => boolean,
): { readonly json: object; readonly behind: readonly Uint8Array[] } {
  const behind: Uint8Array[] = [];
  const outputs = reply.outputs.map(({ data, ...tensor }) => {
    if (!asBytes(tensor.name)) return { ...tensor, data: Array.from(data) };
    const bytes = toBytes({ ...tensor, data });
    behind.push(bytes);
    return { ...tensor, parameters: { binary_data_size: bytes.length } };
  });
  return { json: { ...reply, outputs }, behind };
}
