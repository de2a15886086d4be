import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng, isProtolineError, row, stack, take } from "../core/index.ts";
import { fitDecision, novelty } from "./decision.ts";
import { defaultDecision, defaultPriors } from "./defaults.ts";
import type { DecisionSpec, FittedDecision, Support } from "./types.ts";

function gallery(
  seed: number,
  counts: readonly number[],
  dim: number,
  spread = 0.4,
): Support<string> & { readonly query: Float32Array } {
  const rng = createRng(seed);
  const rows: Float32Array[] = [];
  const labels: string[] = [];
  counts.forEach((count, c) => {
    const middle = Array.from({ length: dim }, () => rng.next() * 2);
    for (let i = 0; i < count; i++) {
      rows.push(Float32Array.from(middle, (m) => Math.max(0, m + rng.normal() * spread)));
      labels.push(`part ${c}`);
    }
  });
  const query = Float32Array.from(rows[0]!, (v, i) => (v + rows.at(-1)![i]!) / 2);
  return { embeddings: stack(rows, dim), labels, query };
}

function pick<Label>(support: Support<Label>, indices: readonly number[]): Support<Label> {
  return { embeddings: take(support.embeddings, indices), labels: indices.map((i) => support.labels[i]!) };
}

const heads: DecisionSpec["head"][] = [
  { kind: "prototype", metric: "cosine" },
  { kind: "prototype", metric: "euclidean" },
  { kind: "prototype", metric: "mahalanobis" },
  { kind: "ridge", lambda: 0.1, projection: null },
  { kind: "ridge", lambda: 0.1, projection: { dim: 24, seed: 3 } },
];
const scores: DecisionSpec["openSet"]["score"][] = ["cosine", "centeredCosine", "mahalanobis", "ridge"];

const specs = heads.flatMap((head) =>
  scores
    .filter((score) => score !== "ridge" || head.kind === "ridge")
    .map((score): DecisionSpec => ({ ...defaultDecision, head, openSet: { score, falseRejectRate: 0.05 } })),
);

/** Everything that an answer says must agree, to `tolerance` of the numbers' own size. */
function expectSame<Label>(a: FittedDecision<Label>, b: FittedDecision<Label>, query: Float32Array): void {
  const near = (x: number, y: number): void => {
    expect(Math.abs(x - y)).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(y)));
  };
  expect([...a.labels].sort()).toEqual([...b.labels].sort());
  near(a.temperature, b.temperature);
  const left = a.decide(stack([query]));
  const right = b.decide(stack([query]));
  for (const c of left.candidates) {
    const other = right.candidates.find((x) => x.label === c.label)!;
    near(c.confidence, other.confidence);
    near(c.distance, other.distance);
    near(c.threshold, other.threshold);
  }
}

const failure = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (isProtolineError(error)) return `${error.code}: ${error.got}`;
    throw error;
  }
  return "nothing was thrown";
};

const seeds = fc.integer({ min: 1, max: 1_000_000 });
const sizes = fc.array(fc.integer({ min: 2, max: 7 }), { minLength: 2, maxLength: 5 });

describe("fitDecision", () => {
  it("does not depend on the order of the samples", () => {
    fc.assert(
      fc.property(seeds, sizes, fc.constantFrom(...specs), (seed, counts, spec) => {
        const support = gallery(seed, counts, 12);
        const order = createRng(seed).shuffle(support.labels.map((_, i) => i));
        const a = fitDecision(support, spec, defaultPriors);
        expectSame(fitDecision(pick(support, order), spec, defaultPriors), a, support.query);
      }),
      { numRuns: 60 },
    );
  });

  it("does not depend on the scale of the embeddings", () => {
    fc.assert(
      fc.property(
        seeds,
        fc.constantFrom(...specs),
        fc.double({ min: 0.01, max: 100, noNaN: true }),
        (seed, spec, scale) => {
          const support = gallery(seed, [3, 4, 5], 12);
          const scaled = { ...support.embeddings, data: support.embeddings.data.map((v) => v * scale) };
          const a = fitDecision(support, spec, defaultPriors).decide(stack([support.query]));
          const b = fitDecision({ ...support, embeddings: scaled }, spec, defaultPriors).decide(
            stack([support.query.map((v) => v * scale)]),
          );
          a.candidates.forEach((c, i) => {
            expect(b.candidates[i]!.label).toBe(c.label);
            expect(b.candidates[i]!.confidence).toBeCloseTo(c.confidence, 3);
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  it("knows its own classes, calls a stranger unknown, and says when it wavers", () => {
    const support = gallery(5, [10, 10, 10], 32, 0.2);
    const fitted = fitDecision(support, defaultDecision, defaultPriors);
    const answers = support.labels.map((_, i) => fitted.decide(take(support.embeddings, [i])));
    answers.forEach((answer, i) => {
      expect(answer.candidates[0]!.label).toBe(support.labels[i]);
    });
    expect(answers.filter((a) => a.kind === "known").length).toBeGreaterThan(25);
    const stranger = fitted.decide(take(gallery(99, [1], 32, 0.2).embeddings, [0]));
    expect(stranger.kind).toBe("unknown");
    expect(novelty(stranger)).toBeGreaterThan(0);
    expect(Math.max(...answers.map(novelty))).toBeLessThan(novelty(stranger));
    const between = row(support.embeddings, 0).map((v, i) => (v + row(support.embeddings, 15)[i]!) / 2);
    const open = { ...defaultDecision, openSet: { ...defaultDecision.openSet, falseRejectRate: 0.035 } };
    const wavering = fitDecision(support, { ...open, ambiguity: { margin: 0.99 } }, defaultPriors);
    expect(wavering.decide(stack([between])).kind).not.toBe("known");
    expect(fitted.decide(take(support.embeddings, [0]), { topK: 1 }).candidates.length).toBe(1);
  });

  it("confidences are a distribution over the classes, best first", () => {
    const support = gallery(6, [4, 4, 4], 16);
    for (const spec of specs) {
      const { candidates } = fitDecision(support, spec, defaultPriors).decide(stack([support.query]));
      expect(candidates.reduce((s, c) => s + c.confidence, 0)).toBeCloseTo(1, 9);
      candidates.slice(1).forEach((c, i) => {
        expect(c.confidence).toBeLessThanOrEqual(candidates[i]!.confidence);
      });
    }
  });

  it("averages the scores of a frame's views", () => {
    const support = gallery(7, [4, 4], 16);
    const fitted = fitDecision(support, defaultDecision, defaultPriors);
    const [a, b] = [row(support.embeddings, 0), row(support.embeddings, 7)];
    const distance = (views: readonly Float32Array[]) =>
      fitted.decide(stack(views)).candidates.find((c) => c.label === "part 0")!.distance;
    expect(distance([a, b])).toBeCloseTo((distance([a]) + distance([b])) / 2, 12);
  });

  it("uses further views only when the spec has support views, and leaves them out together", () => {
    const support = gallery(8, [6, 6], 16);
    const groups = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3];
    const first = pick(support, [0, 3, 6, 9]);
    const plain = fitDecision({ ...support, groups }, defaultDecision, defaultPriors);
    expectSame(plain, fitDecision(first, defaultDecision, defaultPriors), support.query);
    const withViews: DecisionSpec = { ...defaultDecision, views: { support: ["dihedral"], query: [] } };
    const viewed = fitDecision({ ...support, groups }, withViews, defaultPriors);
    const single = fitDecision(support, withViews, defaultPriors);
    const distance = (f: FittedDecision<string>) => f.decide(stack([support.query])).candidates[0]!.distance;
    expect(distance(viewed)).toBeCloseTo(distance(single), 9);
    expect(distance(viewed)).not.toBeCloseTo(distance(plain), 4);
    // Left out one view at a time, a picture would vouch for itself.
    expect(viewed.thresholds.get("part 0")).not.toBeCloseTo(single.thresholds.get("part 0")!, 4);
  });

  it("moves with a running mean, and starts from the gallery's", () => {
    const support = gallery(9, [5, 5, 5], 16);
    const spec: DecisionSpec = {
      ...defaultDecision,
      transform: { power: null, normalize: true, center: "running" },
      head: { kind: "prototype", metric: "cosine" },
      openSet: { score: "centeredCosine", falseRejectRate: 0.05 },
    };
    const byGallery = { ...spec, transform: { ...spec.transform, center: "gallery" as const } };
    const running = fitDecision(support, spec, defaultPriors);
    const still = fitDecision(support, byGallery, defaultPriors);
    const frame = stack([support.query]);
    expect(running.decide(frame)).toEqual(still.decide(frame));
    const runningMean = running.transform(row(support.embeddings, 3)).map((v) => Math.abs(v) / 2);
    expect(running.decide(frame, { runningMean })).not.toEqual(still.decide(frame));
    expect(still.decide(frame, { runningMean })).toEqual(still.decide(frame));
    // The same array with other numbers is another mean.
    const before = running.decide(frame, { runningMean });
    runningMean.fill(0.1);
    expect(running.decide(frame, { runningMean })).not.toEqual(before);
  });

  it("takes a zero vector for what it is, and one class for a gallery", () => {
    const one = fitDecision(
      { embeddings: stack([new Float32Array(4)]), labels: ["dark"] },
      defaultDecision,
      defaultPriors,
    );
    const answer = one.decide(stack([Float32Array.of(0, 1, 0, 0)]));
    expect(answer.candidates[0]).toMatchObject({ label: "dark", confidence: 1, distance: 1 });
    expect(one.thresholdSources.get("dark")).toBe("none");
    expect(Number.isFinite(one.thresholds.get("dark"))).toBe(true);
  });

  it("labels may be anything", () => {
    const [a, b] = [{ part: 1 }, { part: 1 }];
    const support = gallery(10, [2, 2], 8);
    const fitted = fitDecision(
      { embeddings: support.embeddings, labels: [a, a, b, b] },
      defaultDecision,
      defaultPriors,
    );
    const answer = fitted.decide(take(support.embeddings, [0])).candidates[0]!;
    expect(answer.label).toBe(a);
    expect(answer.label).not.toBe(b);
  });

  it("refuses what it cannot use, and says why", () => {
    const support = gallery(11, [2, 2], 8);
    const broken = support.embeddings.data.slice();
    broken[2 * 8 + 5] = Number.NaN;
    const fitting = (s: Support<string>, spec = defaultDecision) =>
      failure(() => fitDecision(s, spec, defaultPriors));
    expect(fitting({ ...support, embeddings: { ...support.embeddings, data: broken } })).toBe(
      "NOT_FINITE: NaN at position 5 of row 2",
    );
    expect(fitting({ embeddings: stack([], 8), labels: [] })).toBe("GALLERY_EMPTY: none");
    expect(fitting({ ...support, labels: ["a"] })).toBe("DIMENSION_MISMATCH: 1");
    expect(
      fitting(support, { ...defaultDecision, head: { kind: "ridge", lambda: 0, projection: null } }),
    ).toBe("INVALID_ARGUMENT: 0");
    expect(fitting(support, { ...defaultDecision, openSet: { score: "cosine", falseRejectRate: 1 } })).toBe(
      "INVALID_ARGUMENT: 1",
    );
    expect(
      fitting(support, { ...defaultDecision, transform: { ...defaultDecision.transform, center: "base" } }),
    ).toBe("INVALID_ARGUMENT: a bundle without one");
    const fitted = fitDecision(support, defaultDecision, defaultPriors);
    expect(failure(() => fitted.decide(stack([new Float32Array(7)])))).toBe("DIMENSION_MISMATCH: 7");
    expect(failure(() => fitted.decide(stack([new Float32Array(8).fill(Number.POSITIVE_INFINITY)])))).toBe(
      "NOT_FINITE: Infinity at position 0 of row 0",
    );
    expect(failure(() => fitted.update({ remove: gallery(12, [1], 8) }))).toBe(
      "INVALID_ARGUMENT: row 0 of the removal, which it does not hold",
    );
    expect(failure(() => fitted.update({ remove: support }))).toBe("GALLERY_EMPTY: none");
  });
});

describe("leaving one out", () => {
  it.each(
    specs.filter(
      ({ head, openSet }) =>
        head.kind === "prototype" && head.metric === "cosine" && openSet.score === "cosine",
    ),
  )("tells a picture what a gallery without it tells", (spec) => {
    fc.assert(
      fc.property(seeds, sizes, (seed, counts) => {
        const support = gallery(seed, counts, 12);
        const left = fitDecision(support, spec, defaultPriors).leaveOneOut();
        expect(left.map(({ label }) => label)).toEqual(support.labels);
        left.forEach(({ label, picture, decided }, i) => {
          const first = support.labels.indexOf(label);
          expect(first + picture).toBe(i);
          const rest = support.labels.flatMap((_, row) => (row === i ? [] : [row]));
          const { candidates } = fitDecision(pick(support, rest), spec, defaultPriors).decide(
            take(support.embeddings, [i]),
          );
          for (const one of candidates)
            expect(decided.candidates.find((c) => c.label === one.label)!.distance).toBeCloseTo(
              one.distance,
              5,
            );
        });
      }),
      { numRuns: 20 },
    );
  });

  it("says nothing of a class with one picture", () => {
    const left = fitDecision(gallery(3, [1, 4], 8), defaultDecision, defaultPriors).leaveOneOut();
    expect(left.map(({ label }) => label)).toEqual(Array(4).fill("part 1"));
  });
});

describe("update", () => {
  it("equals a refit: samples come and go, classes appear and vanish", () => {
    fc.assert(
      fc.property(
        seeds,
        sizes,
        fc.constantFrom(...specs),
        fc.constantFrom(6, 40),
        (seed, counts, spec, dim) => {
          const support = gallery(seed, [...counts, 3], dim);
          const rng = createRng(seed);
          const n = support.labels.length;
          const split = rng.shuffle(support.labels.map((_, i) => i));
          const start = split.slice(0, Math.max(2, Math.floor(n * 0.8)));
          const later = split.slice(start.length);
          const gone = start.slice(0, 1 + rng.int(Math.max(1, Math.floor(start.length / 5))));
          const fitted = fitDecision(pick(support, start), spec, defaultPriors);
          const updated = fitted.update({ add: pick(support, later), remove: pick(support, gone) });
          const rest = [...start.filter((i) => !gone.includes(i)), ...later];
          expectSame(updated, fitDecision(pick(support, rest), spec, defaultPriors), support.query);
        },
      ),
      { numRuns: 120 },
    );
  });

  it("added and removed again is as before, and the old decision never changes", () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(...specs), fc.constantFrom(6, 40), (seed, spec, dim) => {
        const support = gallery(seed, [8, 9, 7], dim);
        const more = gallery(seed + 1, [2, 1], dim);
        const fitted = fitDecision(support, spec, defaultPriors);
        const before = JSON.stringify(fitted.decide(stack([support.query])));
        const back = fitted.update({ add: more }).update({ remove: more });
        expectSame(back, fitted, support.query);
        expect(JSON.stringify(fitted.decide(stack([support.query])))).toBe(before);
      }),
      { numRuns: 40 },
    );
  });
});
