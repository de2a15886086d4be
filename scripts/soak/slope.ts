export interface Slope {
  /** By one of x. */
  readonly slope: number;
  /** 95 %. */
  readonly interval: readonly [number, number];
}

/**
 * Least squares. What is left over of neighbours is alike, so the interval is that of as many independent points as their first
 * autocorrelation r leaves, n (1 - r) / (1 + r) (Santer et al. 2000, J. Geophys. Res. 105, 7337).
 *
 * @param points at least 5, evenly spaced in x.
 */
export function slopeOf(points: readonly { readonly x: number; readonly y: number }[]): Slope {
  const n = points.length;
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  const [mx, my] = [mean(points.map(({ x }) => x)), mean(points.map(({ y }) => y))];
  const sum = (of: (x: number, y: number) => number): number =>
    points.reduce((all, { x, y }) => all + of(x - mx, y - my), 0);
  const xx = sum((x) => x * x);
  const slope = sum((x, y) => x * y) / xx;
  const left = points.map(({ x, y }) => y - my - slope * (x - mx));
  const squares = left.reduce((all, it) => all + it * it, 0);
  const neighbours = left.slice(1).reduce((all, it, i) => all + it * left[i]!, 0);
  const r = squares > 0 ? Math.max(0, neighbours / squares) : 0;
  const free = Math.max(3, (n * (1 - r)) / (1 + r) - 2);
  const error = Math.sqrt(squares / free / xx);
  // Student's t at 97.5 %, by its expansion around the normal distribution: 4 % too small at 3 degrees of freedom.
  const z = 1.96;
  const t = z + (z ** 3 + z) / (4 * free) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * free * free);
  return { slope, interval: [slope - t * error, slope + t * error] };
}
