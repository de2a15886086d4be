const start = Buffer.from("ffd8", "hex");
const end = Buffer.from("ffd9", "hex");

/**
 * Cuts a stream of JPEG pictures, one behind the other as ffmpeg writes them: within a picture `ff` is never followed by
 * `d9`. What grows beyond `maxBytes` is no picture and is dropped, up to the next one.
 *
 * @returns what takes the stream's chunks.
 */
export function cutJpegs(maxBytes: number, onPicture: (bytes: Uint8Array) => void): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0);
  let searched = 0;
  return (chunk) => {
    pending = pending.length > 0 ? Buffer.concat([pending, chunk]) : chunk;
    for (let at = pending.indexOf(end, searched); at >= 0; at = pending.indexOf(end)) {
      const from = pending.indexOf(start);
      if (from >= 0 && from < at && at + 2 - from <= maxBytes)
        onPicture(new Uint8Array(pending.subarray(from, at + 2)));
      pending = pending.subarray(at + 2);
    }
    // The marker may be cut in two by the end of a chunk.
    searched = Math.max(0, pending.length - 1);
    if (pending.length > maxBytes) {
      pending = pending.subarray(searched);
      searched = 0;
    }
  };
}
