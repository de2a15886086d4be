/**
 * The two directions in which the rows differ most, by power iteration on the centred rows, with the rows' places on
 * them: `[n × 2]`. Deterministic; a few milliseconds for a thousand rows.
 *
 * @param rows `[n × dim]`.
 */
export function principalPlane(rows: Float32Array, n: number, dim: number): Float32Array {
  const centred = new Float64Array(rows);
  for (let d = 0; d < dim; d++) {
    let mean = 0;
    for (let i = 0; i < n; i++) mean += centred[i * dim + d]! / n;
    for (let i = 0; i < n; i++) centred[i * dim + d]! -= mean;
  }
  const places = new Float32Array(2 * n);
  for (let axis = 0; axis < 2; axis++) {
    // Begins with the row that is farthest out: it has a part in the direction that is looked for.
    let direction = farthest(centred, n, dim);
    for (let step = 0; step < 60; step++) {
      const next = new Float64Array(dim);
      for (let i = 0; i < n; i++) {
        const along = dot(centred, i * dim, direction);
        for (let d = 0; d < dim; d++) next[d]! += along * centred[i * dim + d]!;
      }
      if (!scaleToOne(next)) break;
      direction = next;
    }
    for (let i = 0; i < n; i++) {
      const along = dot(centred, i * dim, direction);
      places[2 * i + axis] = along;
      for (let d = 0; d < dim; d++) centred[i * dim + d]! -= along * direction[d]!;
    }
  }
  return places;
}

function dot(rows: Float64Array, from: number, direction: Float64Array): number {
  let sum = 0;
  for (let d = 0; d < direction.length; d++) sum += rows[from + d]! * direction[d]!;
  return sum;
}

/** False for a vector of zeros. */
function scaleToOne(vector: Float64Array): boolean {
  const length = Math.sqrt(dot(vector, 0, vector));
  if (length < 1e-12) return false;
  for (let d = 0; d < vector.length; d++) vector[d]! /= length;
  return true;
}

function farthest(rows: Float64Array, n: number, dim: number): Float64Array {
  let best = new Float64Array(dim);
  let most = 0;
  for (let i = 0; i < n; i++) {
    const row = rows.slice(i * dim, (i + 1) * dim);
    const length = dot(row, 0, row);
    if (length > most) [best, most] = [row, length];
  }
  scaleToOne(best);
  return best;
}

/** Whether a point lies in a polygon, by the even-odd rule. */
export function inside(
  [x, y]: readonly [number, number],
  polygon: readonly (readonly [number, number])[],
): boolean {
  let within = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i]!;
    const [xj, yj] = polygon[j]!;
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within;
  }
  return within;
}
