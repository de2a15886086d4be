import { addScaled, type Vector } from "../linalg.ts";
import { mean } from "../prototypes.ts";
import { argMax, classMeans, cosine, softmax, type TransductiveMethod, unitRows } from "./method.ts";

/** ε of the weights and of the answer's softmax, as in the paper. */
const epsilon = 10;

/**
 * BD-CSPN, prototype rectification (Liu, Song and Qin 2020, arXiv:1911.10713). Embeddings of length 1; the queries are
 * shifted so that their mean is the support's (cross-class bias), each is given to its nearest prototype by cosine, and a
 * prototype becomes the mean of its support and of these, weighted by exp(ε·cosine) (intra-class bias). The answer is the
 * cosine of the query, as it came, to these. The paper can keep to the surest queries; all are taken, as later comparisons do.
 *
 * It takes the mean of the queries for that of the support: right only where classes are as frequent among both.
 *
 * Cost: one pass, (n + 2m)·way·dim.
 */
export const bdCspn: TransductiveMethod = ({ support, labels, way, queries }) => {
  const [known, asked] = [unitRows(support), unitRows(queries)];
  const rectified = rectify(known, labels, way, asked);
  return asked.map((x) => softmax(Float64Array.from(rectified, (c) => epsilon * cosine(x, c))));
};

/** The rectified prototypes, `[way][dim]`. */
function rectify(
  support: readonly Vector[],
  labels: readonly number[],
  way: number,
  queries: readonly Vector[],
): Float64Array[] {
  const dim = support[0]!.length;
  const [from, to] = [mean(queries, dim), mean(support, dim)];
  const shifted = queries.map((x) => Float64Array.from(x, (v, d) => v - from[d]! + to[d]!));
  const basic = classMeans(support, labels, way);
  const sums = basic.map(() => new Float64Array(dim));
  const weights = new Float64Array(way);
  const give = (x: Vector, k: number, similarity: number): void => {
    const weight = Math.exp(epsilon * similarity);
    addScaled(sums[k]!, x, weight);
    weights[k]! += weight;
  };
  support.forEach((x, i) => {
    give(x, labels[i]!, cosine(x, basic[labels[i]!]!));
  });
  for (const x of shifted) {
    const similarities = Float64Array.from(basic, (c) => cosine(x, c));
    const nearest = argMax(similarities);
    give(x, nearest, similarities[nearest]!);
  }
  return sums.map((sum, k) => sum.map((v) => v / weights[k]!));
}
