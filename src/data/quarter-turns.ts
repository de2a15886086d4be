/**
 * Copies a square plane `[size, size]` turned counter-clockwise by quarter turns.
 *
 * @param turns 0 … 3
 */
export function turnPlane(
  source: Uint8Array | Float32Array,
  from: number,
  target: Uint8Array | Float32Array,
  to: number,
  size: number,
  turns: number,
): void {
  const last = size - 1;
  // Where the upper left pixel comes from, and the way of a step right and a step down in the source.
  const first = [0, last, last * size + last, last * size][turns]!;
  const right = [1, size, -1, -size][turns]!;
  const down = [size, -1, -size, 1][turns]!;
  for (let y = 0; y < size; y++) {
    let at = from + first + y * down;
    for (let x = 0; x < size; x++, at += right) target[to++] = source[at]!;
  }
}
