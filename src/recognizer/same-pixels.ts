/** How far apart two embeddings of the same pixels may be, as a share of their largest number: a batch rounds otherwise. */
const rounding = 1e-4;

/**
 * Whether two raw embeddings, `[dim]`, are of the same pixels: one picture in two files, as PNG and as BMP. A picture that was
 * compressed again differs by more.
 */
export function samePixels(a: Float32Array, b: Float32Array): boolean {
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]!));
  const near = rounding * largest;
  // Of other pictures one of the first numbers differs already.
  for (let i = 0; i < a.length; i++) if (!(Math.abs(a[i]! - b[i]!) <= near)) return false;
  return true;
}
