import type { Steps } from "../../core/index.ts";
import { distanceByProduct, type VectorMetric } from "../distances.ts";
import { addScaled, dot, type Vector } from "../linalg.ts";
import { product } from "../matching/kernels.ts";
import { layOut } from "../matching/rows.ts";
import { Shortlist } from "../matching/shortlist.ts";
import { centerAndScale } from "../transforms.ts";
import type { TransformSpec } from "../types.ts";
import { rowSum } from "./class-sums.ts";
import type { Scorer, ScorerClass } from "./scorer.ts";

/** The nearest classes, whose distances are computed in float64. */
const exactly = 32;
/** In a gallery up to this size all are: a scan and a shortlist cost more there. */
const small = 128;

/**
 * Distance to the mean of each class (Snell et al. 2017, arXiv:1703.05175), the mean of the centred and scaled rows,
 * rounded to float32. Of the {@link exactly} nearest classes in float64 arithmetic; the others by the kernels of
 * `matching/`, whose cosines are right to some 10⁻⁶. `center` `[dim]` is taken after power and L2, or `null`.
 */
export function* prototypeScorer(
  classes: readonly ScorerClass[],
  dim: number,
  metric: VectorMetric,
  transform: TransformSpec,
  center: Vector | null,
): Steps<Scorer> {
  const place = (z: Float32Array): Float32Array => centerAndScale(z, transform, center);
  const scratch = new Float64Array(dim);
  const sumOf = (members: ScorerClass): Vector => {
    if (center === null) return rowSum(members, dim, scratch);
    scratch.fill(0);
    for (const z of members.rows) addScaled(scratch, place(z), 1);
    return scratch;
  };
  const means = yield* layOut(classes.length, dim, (c, out) => {
    const { rows } = classes[c]!;
    const only = rows.length === 1 && place(rows[0]!);
    if (only) return out.set(only);
    const sum = sumOf(classes[c]!);
    for (let i = 0; i < dim; i++) out[i] = sum[i]! / rows.length;
  });
  const { n, squares } = means;

  /** `[classes]` for each of the vectors, which have been placed. */
  function compare(vectors: readonly Float32Array[]): Float64Array[] {
    const distances = vectors.map(() => new Float64Array(n));
    const nearest = vectors.map(() => new Shortlist(exactly));
    const xx = vectors.map((x) => product(x, 0, x, 0, dim));
    if (n > small)
      means.scan(vectors, (q, first, count, products) => {
        const [out, list] = [distances[q]!, nearest[q]!];
        for (let i = 0, c = first; i < count; i++, c++) {
          const distance = distanceByProduct(metric, products[i]!, xx[q]!, squares[c]!);
          out[c] = distance;
          if (distance <= list.limit) list.add(c, distance, 0);
        }
      });
    vectors.forEach((x, q) => {
      const refine = (c: number): void => {
        distances[q]![c] = distanceByProduct(metric, means.product(c, x), xx[q]!, squares[c]!);
      };
      if (n > small) for (const { index } of nearest[q]!.entries()) refine(index);
      else for (let c = 0; c < n; c++) refine(c);
    });
    return distances;
  }

  const sums: (Float64Array | undefined)[] = [];
  return {
    leaveOutCost: n * dim,
    distances: (z) => compare([place(z)])[0]!,
    leaveOut: (owner, out) => {
      const members = classes[owner]!;
      const rows = out.map((i) => place(members.rows[i]!));
      const left = members.rows.length - out.length;
      sums[owner] ??= Float64Array.from(sumOf(members));
      const own = Float64Array.from(sums[owner]);
      for (const x of rows) addScaled(own, x, -1);
      for (let i = 0; i < dim; i++) own[i]! /= left;
      const all = compare(rows);
      all.forEach((distances, i) => {
        const x = rows[i]!;
        distances[owner] =
          left > 0 ? distanceByProduct(metric, dot(x, own), dot(x, x), dot(own, own)) : Number.NaN;
      });
      return all;
    },
    alone: (owner) => {
      const rows = classes[owner]!.rows.map(place);
      return rows.map((x, i) =>
        rows.flatMap((y, j) => (i === j ? [] : [distanceByProduct(metric, dot(x, y), dot(x, x), dot(y, y))])),
      );
    },
  };
}
