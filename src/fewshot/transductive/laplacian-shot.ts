import { squaredEuclidean } from "../distances.ts";
import { addScaled, type Vector } from "../linalg.ts";
import { mean } from "../prototypes.ts";
import { l2, subtract } from "../transforms.ts";
import { classMeans, leastShots, softmax, type TransductiveMethod, unitRows } from "./method.ts";

/** Nearest other queries that a query agrees with: the authors' k = 3 counts the query itself. */
const neighbours = 2;
/** Most updates, and the relative change of energy that ends them. */
const [updates, enough] = [20, 1e-6];
/** λ as the authors tuned it on the validation classes of miniImageNet, at 1 shot and at more. */
const lambdaOf = (shots: number): number => (shots === 1 ? 0.7 : 0.3);

/**
 * LaplacianShot (Ziko et al. 2020, arXiv:2006.15486): probabilities Y of the queries that are near to their prototypes and
 * alike for neighbouring queries, by bound updates y ← softmax(−a + λWy), a the squared distances to the class means and W
 * the directed graph of nearest queries. Embeddings are centred and of length 1; the mean of the support stands for that of
 * the base classes, which an imported encoder does not bring. The rectification of prototypes that the paper adds for some
 * sets is BD-CSPN's and is left there.
 *
 * Nothing here says how frequent a class is, but that a query agrees with its neighbours favours what is frequent.
 *
 * Cost: m²·dim/2 for the graph, then 2·m·way an update.
 */
export const laplacianShot: TransductiveMethod = ({ support, labels, way, queries }) => {
  const raw = unitRows(support);
  const center = mean(raw, support.dim);
  const centred = (rows: readonly Float32Array[]): Float32Array[] => rows.map((x) => l2(subtract(x, center)));
  const asked = centred(unitRows(queries));
  const means = classMeans(centred(raw), labels, way);
  const unary = asked.map((x) => Float64Array.from(means, (c) => squaredEuclidean(x, c)));
  const graph = nearest(asked, neighbours);
  const lambda = lambdaOf(leastShots(labels, way));

  let y = unary.map((a) => softmax(a.map((v) => -v)));
  let last = Number.POSITIVE_INFINITY;
  for (let i = 0; i < updates; i++) {
    y = update(y, unary, graph, lambda);
    const now = energy(y, unary, graph, lambda);
    if (Math.abs(now - last) <= enough * Math.abs(last)) break;
    last = now;
  }
  return y;
};

/** The `k` nearest others of each row, `[m][k]`. */
export function nearest(rows: readonly Vector[], k: number): number[][] {
  const distances = rows.map((a) => Float64Array.from(rows, (b) => squaredEuclidean(a, b)));
  return distances.map((line, i) =>
    rows
      .map((_, j) => j)
      .filter((j) => j !== i)
      .sort((a, b) => line[a]! - line[b]!)
      .slice(0, k),
  );
}

/** y ← softmax(−a + λWy), all queries at once, `[m][way]`. */
export const update = (
  y: readonly Float64Array[],
  unary: readonly Float64Array[],
  graph: readonly (readonly number[])[],
  lambda: number,
): Float64Array[] =>
  unary.map((a, i) => {
    const logits = a.map((v) => -v);
    for (const j of graph[i]!) addScaled(logits, y[j]!, lambda);
    return softmax(logits);
  });

/** Σ y·log y + a·y − λ·y·Wy/2, whose minima the updates stand still at where W is symmetric. */
export function energy(
  y: readonly Float64Array[],
  unary: readonly Float64Array[],
  graph: readonly (readonly number[])[],
  lambda: number,
): number {
  let sum = 0;
  y.forEach((p, i) => {
    p.forEach((v, k) => {
      const around = graph[i]!.reduce((total, j) => total + y[j]![k]!, 0);
      sum += v * (Math.log(Math.max(v, 1e-20)) + unary[i]![k]! - 0.5 * lambda * around);
    });
  });
  return sum;
}
