/** Numbers as the drivers of servers keep them: little-endian, as every machine that Node runs on has them. */

/** `[views, dim]` as one piece of bytes. */
export function bytesOfViews(views: readonly Float32Array[]): Buffer {
  const dim = views[0]!.length;
  const all = new Float32Array(views.length * dim);
  views.forEach((view, i) => {
    all.set(view, i * dim);
  });
  return Buffer.from(all.buffer);
}

/** The views again, or `null` for bytes that cannot be `[views, dim]`. */
export function viewsOfBytes(bytes: Uint8Array, dim: number): Float32Array[] | null {
  if (bytes.length === 0 || bytes.length % (4 * dim) !== 0) return null;
  const all = new Float32Array(copy(bytes));
  return Array.from({ length: all.length / dim }, (_, i) => all.subarray(i * dim, (i + 1) * dim));
}

export function bytesOfSums({ buffer, byteOffset, byteLength }: Float64Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** The sums again, or `null` for bytes that cannot be any. */
export function sumsOfBytes(bytes: Uint8Array): Float64Array | null {
  return bytes.length % 8 === 0 ? new Float64Array(copy(bytes)) : null;
}

/** Aligned, and the caller's own. */
function copy({ buffer, byteOffset, length }: Uint8Array): ArrayBuffer {
  return buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer;
}
