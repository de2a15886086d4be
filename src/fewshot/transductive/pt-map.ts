import { type Embeddings, row } from "../../core/index.ts";
import { squaredEuclidean } from "../distances.ts";
import { addScaled, type Vector } from "../linalg.ts";
import { mean } from "../prototypes.ts";
import { l2, power, subtract } from "../transforms.ts";
import { classMeans, type TransductiveMethod } from "./method.ts";

/** λ of the transport's entropy, how far a prototype moves at a time, and how often. */
const [lambda, step, rounds] = [10, 0.2, 20];
/** Sinkhorn's end: no row sum moves by more, or so many rounds. */
const [tolerance, most] = [1e-6, 1000];

/**
 * PT-MAP (Hu, Gripon and Pateux 2021, arXiv:2006.03806). Embeddings to the power ½, of length 1, support and queries each
 * centred by their own mean, of length 1 again. Twenty times the queries are dealt to the classes by optimal transport, and
 * each prototype moves a fifth of the way to the mean of its support and of what it was dealt.
 *
 * The transport gives every class equally many queries, so that on unbalanced ones it must be wrong.
 *
 * Cost: 20·2·(n + m)·way·dim, and 21 times up to a thousand rounds of Sinkhorn's 2·m·way.
 */
export const ptMap: TransductiveMethod = ({ support, labels, way, queries }) => {
  const [known, asked] = [prepared(support), prepared(queries)];
  const prototypes = classMeans(known, labels, way);
  const deal = (): Float64Array[] =>
    sinkhorn(
      asked.map((x) => Float64Array.from(prototypes, (c) => Math.exp(-lambda * squaredEuclidean(x, c)))),
    );
  for (let round = 0; round < rounds; round++) {
    const dealt = deal();
    prototypes.forEach((c, k) => {
      const sum = new Float64Array(c.length);
      let weight = 0;
      const add = (x: Vector, share: number): void => {
        addScaled(sum, x, share);
        weight += share;
      };
      known.forEach((x, i) => {
        if (labels[i] === k) add(x, 1);
      });
      asked.forEach((x, i) => {
        add(x, dealt[i]![k]!);
      });
      for (let d = 0; d < c.length; d++) c[d]! += step * (sum[d]! / weight - c[d]!);
    });
  }
  return deal();
};

/** Power ½, length 1, centred by their own mean, length 1. `[n][dim]` */
function prepared(embeddings: Embeddings): Float32Array[] {
  const rows = Array.from({ length: embeddings.n }, (_, i) => {
    const powered = power(row(embeddings, i), 0.5);
    return l2(powered, powered);
  });
  const center = mean(rows, embeddings.dim);
  return rows.map((x) => l2(subtract(x, center)));
}

/**
 * Scales rows and columns in turn (Cuturi 2013, arXiv:1306.0895) until no row's sum moves any more, which is when each row
 * sums to 1 and each column to m/way; the columns always do.
 *
 * @param kernel `[m][way]`, positive; it is changed.
 */
export function sinkhorn(kernel: Float64Array[]): Float64Array[] {
  const way = kernel[0]!.length;
  const share = kernel.length / way;
  const sums = new Float64Array(kernel.length);
  for (let round = 0; round < most; round++) {
    let moved = 0;
    const columns = new Float64Array(way);
    for (let i = 0; i < kernel.length; i++) {
      const line = kernel[i]!;
      let sum = 0;
      for (let k = 0; k < way; k++) sum += line[k]!;
      moved = Math.max(moved, Math.abs(sum - sums[i]!));
      sums[i] = sum;
      for (let k = 0; k < way; k++) columns[k]! += line[k]! /= sum;
    }
    for (const line of kernel) for (let k = 0; k < way; k++) line[k]! *= share / columns[k]!;
    if (moved <= tolerance) break;
  }
  return kernel;
}
