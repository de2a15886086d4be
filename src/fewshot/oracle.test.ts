import { describe, expect, it } from "vitest";
import * as oracle from "../../test/oracle/fewshot.ts";
import { createRng, type Embeddings, finish, stack } from "../core/index.ts";
import { confidences, logSoftmax } from "./confidence.ts";
import { fitDecision } from "./decision.ts";
import { defaultDecision, defaultPriors } from "./defaults.ts";
import { cosineDistance, euclidean, squaredEuclidean } from "./distances.ts";
import { distinct } from "./distinct.ts";
import { leaveUnitOut, makeScorers } from "./fit.ts";
import { conformalThreshold } from "./limits.ts";
import { prototypes } from "./prototypes.ts";
import { addRows } from "./samples.ts";
import { studentQuantile } from "./student.ts";
import { applyTransform } from "./transforms.ts";
import type { HeadSpec, Support, TransformSpec } from "./types.ts";

/** Classes around centres of their own, all numbers at least 0 as after a ReLU. */
function gallery(seed: number, counts: readonly number[], dim: number): Support<number> {
  const rng = createRng(seed);
  const rows: Float32Array[] = [];
  const labels: number[] = [];
  counts.forEach((count, c) => {
    const middle = Array.from({ length: dim }, () => rng.next() * 2);
    for (let i = 0; i < count; i++) {
      // More spread in some directions than in others, or all covariance would be shrunk away.
      rows.push(Float32Array.from(middle, (m, d) => Math.max(0, m + rng.normal() * (d % 5 === 0 ? 1 : 0.2))));
      labels.push(c);
    }
  });
  return { embeddings: stack(rows), labels };
}

const list = ({ data, n, dim }: Embeddings): number[][] =>
  Array.from({ length: n }, (_, i) => [...data.subarray(i * dim, (i + 1) * dim)]);

function close(got: ArrayLike<number>, want: readonly number[], digits = 6): void {
  expect(got.length).toBe(want.length);
  want.forEach((w, i) => {
    expect(got[i]).toBeCloseTo(w, digits);
  });
}

const transform: TransformSpec = { power: 0.5, normalize: true, center: "gallery" };
const counts = [3, 5, 2, 4];
const small = gallery(1, counts, 9);
const owners = small.labels;
const raw = list(small.embeddings);
const z = raw.map((r) => oracle.powerL2(r, 0.5));
const center = oracle.meanRow(oracle.prototypesOf(z, owners, 4));
const query = list(gallery(2, [1], 9).embeddings)[0]!;
const zq = oracle.powerL2(query, 0.5);

function scorerOf(support: Support<number>, head: HeadSpec, spec = transform) {
  const { dim } = support.embeddings;
  const classes = finish(addRows([], support, spec)).map(distinct);
  const scorers = finish(makeScorers(classes, dim, { head, transform: spec }, defaultPriors));
  return { classes, scorers, scorer: scorers.head };
}

/** Every picture left out, class by class: its class and the head's distances. */
function leftOut(made: ReturnType<typeof scorerOf>, averageViews = false) {
  const { classes, scorers } = made;
  return classes.flatMap(({ units }, owner) =>
    units.length < 2
      ? []
      : units.flatMap((_, unit) => leaveUnitOut(classes, scorers, owner, unit, averageViews)),
  );
}

/** The prior that the intercept learns, each class's share of the rows, is taken off. */
function ridgeDistances(scored: readonly number[], of: readonly number[]): number[] {
  return scored.map((s, c) => of.filter((o) => o === c).length / of.length - s);
}

describe("against the float64 oracle", () => {
  it("prototypes", () => {
    const got = prototypes(small.embeddings, owners);
    const want = oracle.prototypesOf(raw, owners, 4);
    list(got.prototypes).forEach((p, c) => {
      close(p, want[c]!, 5);
    });
    expect(got.counts).toEqual(counts);
  });

  it("the transform", () => {
    const got = applyTransform(Float32Array.from(query), transform, Float64Array.from(center));
    close(got, oracle.centerL2(zq, center));
  });

  it("each distance between vectors", () => {
    const [a, b] = [Float32Array.from(raw[0]!), Float32Array.from(raw[5]!)];
    expect(squaredEuclidean(a, b)).toBeCloseTo(oracle.squaredEuclidean(raw[0]!, raw[5]!), 6);
    expect(euclidean(a, b)).toBeCloseTo(Math.sqrt(oracle.squaredEuclidean(raw[0]!, raw[5]!)), 6);
    expect(cosineDistance(a, b)).toBeCloseTo(oracle.cosineDistance(raw[0]!, raw[5]!), 6);
  });

  it.each(["cosine", "squaredEuclidean", "euclidean"] as const)("nearest prototype, %s", (metric) => {
    const { scorer } = scorerOf(small, { kind: "prototype", metric });
    const moved = z.map((r) => oracle.centerL2(r, center));
    const protos = oracle.prototypesOf(moved, owners, 4);
    const q = oracle.centerL2(zq, center);
    const distance = (p: readonly number[]): number => {
      if (metric === "cosine") return oracle.cosineDistance(q, p);
      const squared = oracle.squaredEuclidean(q, p);
      return metric === "euclidean" ? Math.sqrt(squared) : squared;
    };
    close(scorer.distances(Float32Array.from(zq)), protos.map(distance));
  });

  it.each(
    (["cosine", "squaredEuclidean", "euclidean"] as const).flatMap((metric) =>
      (["none", "gallery"] as const).map((from) => ({ metric, from })),
    ),
  )("nearest of 700 prototypes, $metric, centre: $from", ({ metric, from }) => {
    const spec: TransformSpec = { ...transform, center: from };
    const many = gallery(
      12,
      Array.from({ length: 700 }, (_, c) => 1 + (c % 3)),
      96,
    );
    const { scorer } = scorerOf(many, { kind: "prototype", metric }, spec);
    const rows = list(many.embeddings).map((r) => oracle.powerL2(r, 0.5));
    const middle = oracle.meanRow(oracle.prototypesOf(rows, many.labels, 700));
    const put = (r: readonly number[]): number[] => (from === "none" ? [...r] : oracle.centerL2(r, middle));
    const protos = oracle.prototypesOf(rows.map(put), many.labels, 700);
    const asked = oracle.powerL2(list(gallery(13, [1], 96).embeddings)[0]!, 0.5);
    const q = put(asked);
    const want = protos.map((p) => {
      if (metric === "cosine") return oracle.cosineDistance(q, p);
      const squared = oracle.squaredEuclidean(q, p);
      return metric === "euclidean" ? Math.sqrt(squared) : squared;
    });
    const got = scorer.distances(Float32Array.from(asked));
    close(got, want, 5);
    const order = (distances: ArrayLike<number>): number[] =>
      Array.from({ length: 700 }, (_, c) => c)
        .sort((a, b) => distances[a]! - distances[b]!)
        .slice(0, 32);
    expect(order(got)).toEqual(order(want));
    for (const c of order(want)) expect(got[c]).toBeCloseTo(want[c]!, 6);
  });

  it.each([
    ["dual, fewer rows than dimensions", gallery(3, [3, 2, 4], 20)],
    ["primal, more rows than dimensions", gallery(4, [9, 6, 8], 7)],
    ["a class of one row", gallery(5, [9, 1, 4], 12)],
  ])("the predictive Gaussian, %s", (_name, support) => {
    const { scorer } = scorerOf(support, { kind: "gaussian" });
    const rows = list(support.embeddings).map((r) => oracle.powerL2(r, 0.5));
    const q = oracle.powerL2(list(gallery(5, [1], support.embeddings.dim).embeddings)[0]!, 0.5);
    const scatter = oracle.withinScatter(rows, support.labels, 3);
    const want = oracle.gaussianDistances(scatter, oracle.ridgeOf(scatter), rows, support.labels, 3, q);
    const got = scorer.distances(Float32Array.from(q));
    want.forEach((w, c) => {
      expect(got[c]! / w).toBeCloseTo(1, 5);
    });
  });

  it("the predictive Gaussian of 300 classes, whose nearest are exact", () => {
    const counts = Array.from({ length: 300 }, (_, c) => 1 + (c % 3));
    const many = gallery(14, counts, 24);
    const { scorer } = scorerOf(many, { kind: "gaussian" });
    const rows = list(many.embeddings).map((r) => oracle.powerL2(r, 0.5));
    const q = oracle.powerL2(list(gallery(15, [1], 24).embeddings)[0]!, 0.5);
    const scatter = oracle.withinScatter(rows, many.labels, 300);
    const want = oracle.gaussianDistances(scatter, oracle.ridgeOf(scatter), rows, many.labels, 300, q);
    const got = scorer.distances(Float32Array.from(q));
    close(got, want, 4);
    const least = want.indexOf(Math.min(...want));
    expect(got[least]).toBeCloseTo(want[least]!, 6);
  });

  it("one row a class: cosine, most of the mean taken off", () => {
    const support = gallery(16, [1, 1, 1, 1], 9);
    const { scorer } = scorerOf(support, { kind: "gaussian" });
    const rows = list(support.embeddings).map((r) => oracle.powerL2(r, 0.5));
    const off = oracle.meanRow(rows).map((v) => 0.75 * v);
    const less = (r: readonly number[]): number[] => r.map((v, i) => v - off[i]!);
    close(
      scorer.distances(Float32Array.from(zq)),
      rows.map((r) => oracle.cosineDistance(less(zq), less(r))),
    );
  });

  it.each([
    ["dual, fewer rows than dimensions", gallery(6, [3, 2, 4], 20)],
    ["primal, more rows than dimensions", gallery(7, [9, 6, 8], 7)],
  ])("ridge, %s", (_name, support) => {
    const { scorer } = scorerOf(support, { kind: "ridge", lambda: 0.3 });
    const rows = list(support.embeddings).map((r) => oracle.powerL2(r, 0.5));
    const q = oracle.powerL2(list(gallery(8, [1], support.embeddings.dim).embeddings)[0]!, 0.5);
    const want = ridgeDistances(oracle.ridgeScores(rows, support.labels, 3, 0.3, q), support.labels);
    close(scorer.distances(Float32Array.from(q)), want);
  });

  it("log-softmax and confidences", () => {
    const logits = [0.3, -1.2, 2, 0];
    close(logSoftmax(logits), oracle.logSoftmax(logits), 12);
    const want = oracle.logSoftmax(logits.map((d) => -d / 0.7)).map(Math.exp);
    close(confidences(logits, 0.7), want, 12);
    close(logSoftmax([1000, 0]), [0, -1000], 9);
  });

  it("conformal thresholds", () => {
    const rng = createRng(9);
    for (const n of [1, 5, 19, 20, 39, 40, 100]) {
      const scores = Array.from({ length: n }, () => Math.round(rng.next() * 50));
      // (n + 1)(1 − 0.05) in whole numbers of hundredths, so that the oracle has no rounding of its own.
      const wanted = Math.ceil(((n + 1) * 95) / 100);
      expect(conformalThreshold(scores, 0.05)).toBe(oracle.conformal(scores, wanted));
    }
    expect(conformalThreshold([1, 2, 3], 0.2)).toBe(Number.POSITIVE_INFINITY);
    expect(conformalThreshold([1, 2, 3], 0.25)).toBe(3);
  });
});

describe("leaving out, against really leaving out", () => {
  const rest = (i: number) => ({
    rows: z.filter((_, k) => k !== i),
    owners: owners.filter((_, k) => k !== i),
  });

  it("ridge, dual and primal", () => {
    for (const [support, dim] of [
      [small, 9],
      [gallery(10, counts, 20), 20],
    ] as const) {
      const rows = list(support.embeddings).map((r) => oracle.powerL2(r, 0.5));
      expect(support.embeddings.dim).toBe(dim);
      const got = leftOut(scorerOf(support, { kind: "ridge", lambda: 0.2 }));
      expect(got.length).toBe(rows.length);
      got.forEach(({ heads }, i) => {
        const others = rows.filter((_, k) => k !== i);
        const want = oracle.ridgeScores(others, rest(i).owners, 4, 0.2, rows[i]!);
        close(heads, ridgeDistances(want, rest(i).owners));
      });
    }
  });

  const views = [0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

  it("ridge, two views of a picture at once", () => {
    const got = leftOut(scorerOf({ ...small, pictures: views }, { kind: "ridge", lambda: 0.2 }), true);
    const want = [0, 1].map((i) =>
      ridgeDistances(oracle.ridgeScores(z.slice(2), owners.slice(2), 4, 0.2, z[i]!), owners.slice(2)),
    );
    close(
      got[0]!.heads,
      want[0]!.map((w, c) => (w + want[1]![c]!) / 2),
    );
  });

  it("nearest prototype, the centre kept", () => {
    const moved = z.map((r) => oracle.centerL2(r, center));
    leftOut(scorerOf(small, { kind: "prototype", metric: "cosine" })).forEach(({ owner, heads }, i) => {
      expect(owner).toBe(owners[i]);
      const protos = oracle.prototypesOf(
        moved.filter((_, k) => k !== i),
        rest(i).owners,
        4,
      );
      close(
        heads,
        protos.map((p) => oracle.cosineDistance(moved[i]!, p)),
      );
    });
  });

  it.each([
    ["one row a picture", {}, [0]],
    ["two views of a picture", { pictures: views }, [0, 1]],
    [
      "three pictures of one group",
      { groups: owners.map((o, i) => (o === 1 && i < 6 ? "a" : null)) },
      [3, 4, 5],
    ],
  ])("the predictive Gaussian, ρ kept, %s", (_name, more, out) => {
    for (const support of [small, gallery(17, counts, 30)]) {
      const rows = list(support.embeddings).map((r) => oracle.powerL2(r, 0.5));
      const rho = oracle.ridgeOf(oracle.withinScatter(rows, owners, 4));
      const others = rows.filter((_, k) => !out.includes(k));
      const of = owners.filter((_, k) => !out.includes(k));
      const scatter = oracle.withinScatter(others, of, 4);
      const got = leftOut(scorerOf({ ...support, ...more }, { kind: "gaussian" }));
      const first = got.find(({ owner }) => owner === owners[out[0]!])!.heads;
      oracle.gaussianDistances(scatter, rho, others, of, 4, rows[out[0]!]!).forEach((w, c) => {
        expect(first[c]! / w).toBeCloseTo(1, 5);
      });
    }
  });

  it("a class as if it had one row", () => {
    const { scorer } = scorerOf(small, { kind: "gaussian" });
    const rho = oracle.ridgeOf(oracle.withinScatter(z, owners, 4));
    // Row 3 is the first of class 1: its distance from row 4 alone, without the scatter of class 1.
    const kept = z.filter((_, k) => owners[k] !== 1 || k === 4);
    const of = owners.filter((o, k) => o !== 1 || k === 4);
    const want = oracle.gaussianDistances(oracle.withinScatter(kept, of, 4), rho, kept, of, 4, z[3]!)[1]!;
    expect(scorer.alone(1)[0]![0]! / want).toBeCloseTo(1, 5);
  });
});

describe("the whole chain", () => {
  it("answers with the oracle's confidences, distances and limits", () => {
    const counts25 = [25, 25, 25];
    const support = gallery(11, counts25, 12);
    const rows = list(support.embeddings).map((r) => oracle.powerL2(r, 0.5));
    const fitted = fitDecision(support, defaultDecision, defaultPriors);
    const q = oracle.powerL2(query.concat([0.5, 0.1, 0.9]), 0.5);
    const { candidates } = fitted.decide(stack([Float32Array.from([...query, 0.5, 0.1, 0.9])]));
    const scatter = oracle.withinScatter(rows, support.labels, 3);
    const rho = oracle.ridgeOf(scatter);
    const want = oracle.gaussianDistances(scatter, rho, rows, support.labels, 3, q);
    const confidence = oracle.logSoftmax(want.map((d) => -Math.log(d) / fitted.temperature)).map(Math.exp);
    const scores: number[][] = [[], [], []];
    rows.forEach((r, i) => {
      const others = rows.filter((_, k) => k !== i);
      const of = support.labels.filter((_, k) => k !== i);
      const left = oracle.gaussianDistances(oracle.withinScatter(others, of, 3), rho, others, of, 3, r);
      scores[support.labels[i]!]!.push(Math.log(Math.min(...left)));
    });
    const t = studentQuantile(0.95, 72 + 15);
    const limits = oracle.logNormalLimits(scores, { t, deviation: 0.34, degrees: 72 });

    expect(candidates.map((c) => c.label).sort()).toEqual([0, 1, 2]);
    for (const { label, confidence: got, distance, threshold } of candidates) {
      expect(got).toBeCloseTo(confidence[label]!, 5);
      expect(distance / want[label]!).toBeCloseTo(1, 5);
      expect(threshold! / limits[label]!).toBeCloseTo(1, 5);
    }
    expect([...fitted.limits.values()].map(({ source }) => source)).toEqual(["own", "own", "own"]);
  });
});
