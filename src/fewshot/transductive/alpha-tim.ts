import { addScaled, dot } from "../linalg.ts";
import { classMeans, leastShots, softmax, type TransductiveMethod, unitRows } from "./method.ts";

/** Temperature of the logits, Adam's rate, and how many steps. */
const [temperature, rate, steps] = [15, 1e-4, 1000];
/** α of the entropies, as the authors tuned it for 1 and for 5 shots and more; between them their untuned one. */
const alphaOf = (shots: number): number => (shots === 1 ? 2 : shots < 5 ? 5 : 7);

/**
 * α-TIM (Veilleux et al. 2021, arXiv:2110.03690): class weights W, from the class means on, that 1000 steps of Adam fit to
 * CE(support) − Hα(mean of the queries' probabilities) + mean Hα(probabilities of a query), with the α-entropy of Tsallis,
 * Hα(p) = (1 − Σ pᵅ)/(α − 1). Logits are −τ/2·‖x − w‖², embeddings of length 1.
 *
 * For α > 1 unequal shares of classes cost the loss little: unbalanced queries are what it was made for.
 *
 * Cost: 2·(n + m)·way·dim a step, a thousand times that of a nearest prototype; one to two seconds an episode at dim 1024.
 */
export const alphaTim: TransductiveMethod = ({ support, labels, way, queries }) => {
  const [known, asked] = [unitRows(support), unitRows(queries)];
  const rows = [...known, ...asked].map((x) => Float64Array.from(x));
  const weights = classMeans(known, labels, way);
  const alpha = alphaOf(leastShots(labels, way));
  const [first, second] = [0, 1].map(() => weights.map((w) => new Float64Array(w.length)));
  for (let step = 1; step <= steps; step++) {
    const slopes = lossAndSlope(rows, labels, weights, alpha).slope;
    // Adam (Kingma and Ba 2015) with its usual 0.9 and 0.999.
    const scale = (rate * Math.sqrt(1 - 0.999 ** step)) / (1 - 0.9 ** step);
    const floor = 1e-8 * Math.sqrt(1 - 0.999 ** step);
    weights.forEach((w, k) => {
      const [m, v, g] = [first![k]!, second![k]!, slopes[k]!];
      for (let d = 0; d < w.length; d++) {
        const slope = g[d]!;
        m[d] = 0.9 * m[d]! + 0.1 * slope;
        v[d] = 0.999 * v[d]! + 0.001 * slope * slope;
        w[d]! -= (scale * m[d]!) / (Math.sqrt(v[d]!) + floor);
      }
    });
  }
  return probabilities(rows, weights).slice(labels.length);
};

/** Softmax of −τ/2·‖x − w‖² over the weights; the part of x alone cancels. `[rows][way]` */
function probabilities(rows: readonly Float64Array[], weights: readonly Float64Array[]): Float64Array[] {
  const halves = weights.map((w) => dot(w, w) / 2);
  const products = weights.map((w) => productsWith(w, rows));
  return rows.map((_, i) =>
    softmax(Float64Array.from(products, (all, k) => temperature * (all[i]! - halves[k]!))),
  );
}

/**
 * The loss and its gradient by the weights.
 *
 * @param rows support, then queries, `[n + m][dim]`
 * @param labels `[n]`
 * @param weights `[way][dim]`
 */
export function lossAndSlope(
  rows: readonly Float64Array[],
  labels: readonly number[],
  weights: readonly Float64Array[],
  alpha: number,
): { readonly loss: number; readonly slope: readonly Float64Array[] } {
  const [n, m, way] = [labels.length, rows.length - labels.length, weights.length];
  const p = probabilities(rows, weights);
  const average = new Float64Array(way);
  for (const q of p.slice(n)) addScaled(average, q, 1 / m);

  let loss = (average.reduce((sum, v) => sum + v ** alpha, 0) - 1) / (alpha - 1);
  const slope = weights.map((w) => new Float64Array(w.length));
  /** ∂loss/∂logit, `[way][n + m]`. */
  const by = weights.map(() => new Float64Array(n + m));
  const byProbability = new Float64Array(way);
  p.forEach((q, i) => {
    if (i < n) {
      loss -= Math.log(Math.max(q[labels[i]!]!, 1e-300)) / n;
      for (let k = 0; k < way; k++) by[k]![i] = (q[k]! - (k === labels[i] ? 1 : 0)) / n;
      return;
    }
    let [inner, sum] = [0, 0];
    for (let k = 0; k < way; k++) {
      const power = q[k]! ** (alpha - 1);
      sum += power * q[k]!;
      byProbability[k] = (alpha * (average[k]! ** (alpha - 1) - power)) / ((alpha - 1) * m);
      inner += q[k]! * byProbability[k]!;
    }
    loss += (1 - sum) / ((alpha - 1) * m);
    for (let k = 0; k < way; k++) by[k]![i] = q[k]! * (byProbability[k]! - inner);
  });
  // ∂logit/∂w = τ(x − w).
  weights.forEach((w, k) => {
    addScaled(slope[k]!, w, -by[k]!.reduce((a, b) => a + b));
    addRows(slope[k]!, rows, by[k]!);
    for (let d = 0; d < w.length; d++) slope[k]![d]! *= temperature;
  });
  return { loss, slope };
}

// All of the time is spent in these two. Four rows at a time, so that what is shared is read and written once for them.

/** w·x of each row, `[rows]`. */
function productsWith(w: Float64Array, rows: readonly Float64Array[]): Float64Array {
  const out = new Float64Array(rows.length);
  let i = 0;
  for (; i + 3 < rows.length; i += 4) {
    const [a, b, c, d] = [rows[i]!, rows[i + 1]!, rows[i + 2]!, rows[i + 3]!];
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let j = 0; j < w.length; j++) {
      const v = w[j]!;
      s0 += v * a[j]!;
      s1 += v * b[j]!;
      s2 += v * c[j]!;
      s3 += v * d[j]!;
    }
    out[i] = s0;
    out[i + 1] = s1;
    out[i + 2] = s2;
    out[i + 3] = s3;
  }
  for (; i < rows.length; i++) out[i] = dot(w, rows[i]!);
  return out;
}

/** y += Σ scaleᵢ·rowᵢ. */
function addRows(y: Float64Array, rows: readonly Float64Array[], scales: Float64Array): void {
  let i = 0;
  for (; i + 3 < rows.length; i += 4) {
    const [a, b, c, d] = [rows[i]!, rows[i + 1]!, rows[i + 2]!, rows[i + 3]!];
    const [p, q, r, s] = [scales[i]!, scales[i + 1]!, scales[i + 2]!, scales[i + 3]!];
    for (let j = 0; j < y.length; j++) y[j]! += p * a[j]! + q * b[j]! + r * c[j]! + s * d[j]!;
  }
  for (; i < rows.length; i++) addScaled(y, rows[i]!, scales[i]!);
}
