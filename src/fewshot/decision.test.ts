import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng, isProtolineError, row, stack, take } from "../core/index.ts";
import { fitDecision, novelty } from "./decision.ts";
import { defaultDecision, defaultPriors } from "./defaults.ts";
import type { Decided, DecisionSpec, FittedDecision, Support } from "./types.ts";

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
  { kind: "gaussian" },
  { kind: "prototype", metric: "cosine" },
  { kind: "prototype", metric: "euclidean" },
  { kind: "ridge", lambda: 0.1 },
];
const specs = heads.flatMap((head) =>
  (["none", "gallery"] as const).map(
    (center): DecisionSpec => ({
      ...defaultDecision,
      head,
      transform: { ...defaultDecision.transform, center },
    }),
  ),
);

/** Everything that an answer says must agree, to `tolerance` of the numbers' own size. */
function expectSame<Label>(
  a: FittedDecision<Label>,
  b: FittedDecision<Label>,
  query: Float32Array,
  tolerance = 1e-5,
): void {
  const near = (x: number, y: number): void => {
    expect(Math.abs(x - y)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(y)));
  };
  expect([...a.labels].sort()).toEqual([...b.labels].sort());
  near(a.temperature, b.temperature);
  const left = a.decide(stack([query]));
  const right = b.decide(stack([query]));
  for (const c of left.candidates) {
    const other = right.candidates.find((x) => x.label === c.label)!;
    near(c.confidence, other.confidence);
    near(c.distance, other.distance);
    near(c.threshold!, other.threshold!);
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
    expect(novelty(stranger)).toBeGreaterThan(1);
    expect(Math.max(...answers.map(novelty))).toBeLessThan(novelty(stranger));
    const between = row(support.embeddings, 0).map((v, i) => (v + row(support.embeddings, 15)[i]!) / 2);
    const wavering = fitDecision(support, { ...defaultDecision, ambiguity: { margin: 0.99 } }, defaultPriors);
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
    const pictures = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3];
    const first = pick(support, [0, 3, 6, 9]);
    const plain = fitDecision({ ...support, pictures }, defaultDecision, defaultPriors);
    expectSame(plain, fitDecision(first, defaultDecision, defaultPriors), support.query);
    const withViews: DecisionSpec = { ...defaultDecision, views: { support: ["dihedral"], query: [] } };
    const viewed = fitDecision({ ...support, pictures }, withViews, defaultPriors);
    const single = fitDecision(support, withViews, defaultPriors);
    const distance = (f: FittedDecision<string>) => f.decide(stack([support.query])).candidates[0]!.distance;
    expect(distance(viewed)).toBeCloseTo(distance(single), 9);
    expect(distance(viewed)).not.toBeCloseTo(distance(plain), 4);
    // Left out one view at a time, a picture would vouch for itself.
    const limit = (f: FittedDecision<string>) => f.limits.get("part 0")!.threshold!;
    expect(limit(viewed)).not.toBeCloseTo(limit(single), 4);
    expect(viewed.limits.get("part 0")!.pictures).toBe(2);
  });

  it("leaves pictures of one group out together", () => {
    const support = gallery(8, [6, 6], 16);
    const groups = support.labels.map((_, i) => (i < 3 ? "photograph 1" : null));
    const grouped = fitDecision({ ...support, groups }, defaultDecision, defaultPriors);
    const apart = fitDecision(support, defaultDecision, defaultPriors);
    expect(grouped.limits.get("part 0")!.pictures).toBe(4);
    expect(apart.limits.get("part 0")!.pictures).toBe(6);
    expect(grouped.decide(stack([support.query])).candidates[0]!.distance).toBe(
      apart.decide(stack([support.query])).candidates[0]!.distance,
    );
    // Without its like a picture lies farther from its class.
    const own = ({ candidates }: Decided<string>) => candidates.find((c) => c.label === "part 0")!.distance;
    expect(own(grouped.leaveOneOut()[0]!.decided)).toBeGreaterThan(own(apart.leaveOneOut()[0]!.decided));
  });

  it("sees near-duplicates as one picture", () => {
    const support = gallery(18, [5, 5], 32);
    const rng = createRng(1);
    const copy = (i: number): Float32Array =>
      row(support.embeddings, i).map((v) => Math.max(0, v + rng.normal() * 0.002));
    const copies = [0, 0, 0, 0, 1, 7].map(copy);
    const labels = ["part 0", "part 0", "part 0", "part 0", "part 0", "part 1"];
    const once = fitDecision(support, defaultDecision, defaultPriors);
    const often = fitDecision(
      {
        embeddings: stack([...support.labels.map((_, i) => row(support.embeddings, i)), ...copies]),
        labels: [...support.labels, ...labels],
      },
      defaultDecision,
      defaultPriors,
    );
    expectSame(often, once, support.query);
    expect(often.limits.get("part 0")).toEqual(once.limits.get("part 0"));
    expect(often.leaveOneOut().length).toBe(16);
    // And they come and go without a trace.
    expectSame(once.update({ add: { embeddings: stack(copies), labels } }), once, support.query);
    const twin = { embeddings: take(support.embeddings, [0]), labels: ["part 0"] };
    expectSame(often.update({ remove: twin }), often, support.query, 0.05);
  });

  it("takes a zero vector for what it is, and one class for a gallery", () => {
    const one = fitDecision(
      { embeddings: stack([new Float32Array(4)]), labels: ["dark"] },
      defaultDecision,
      defaultPriors,
    );
    const answer = one.decide(stack([Float32Array.of(0, 1, 0, 0)]));
    expect(answer.candidates[0]).toMatchObject({ label: "dark", confidence: 1, distance: 1 });
    expect(one.limits.get("dark")).toMatchObject({ threshold: null, source: "none", rates: null });
    expect(answer.limit).toEqual({ label: "dark", distance: 1, threshold: null, source: "none" });
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
    expect(fitting(support, { ...defaultDecision, head: { kind: "ridge", lambda: 0 } })).toBe(
      "INVALID_ARGUMENT: 0",
    );
    expect(fitting(support, { ...defaultDecision, openSet: { falseRejectRate: 1 } })).toBe(
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
  it.each(specs.filter(({ head, transform }) => head.kind === "prototype" && transform.center === "none"))(
    "tells a picture what a gallery without it tells",
    (spec) => {
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
    },
  );

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

describe("limits", () => {
  it("teaching a class never widens that of another by more than noise", () => {
    fc.assert(
      fc.property(
        seeds,
        fc.integer({ min: 2, max: 4 }),
        fc.integer({ min: 8, max: 20 }),
        (seed, n, count) => {
          const support = gallery(seed, [...Array(n).fill(count), 10], 48, 0.3);
          const old = support.labels.flatMap((label, i) => (label === `part ${n}` ? [] : [i]));
          const before = fitDecision(pick(support, old), defaultDecision, defaultPriors);
          const after = fitDecision(support, defaultDecision, defaultPriors);
          // The mean of the classes moves a little, and so does what a class is shrunk to.
          for (const [label, { threshold }] of before.limits)
            expect(after.limits.get(label)!.threshold! / threshold!).toBeLessThan(1.25);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("a stranger that one class keeps out is not let in when a wider one is taught", () => {
    const rng = createRng(3);
    const part = (spread: number, at: number) =>
      Array.from({ length: 12 }, () =>
        Float32Array.from({ length: 40 }, (_, d) =>
          Math.max(0, (d % 4 === at ? 4 : 1) + rng.normal() * spread),
        ),
      );
    const [tight, wide] = [part(0.1, 0), part(0.8, 1)];
    // Off the tight class by more than its own pictures ever are, and nowhere near the wide one.
    const flaw = tight[0]!.map((v, d) => v + (d % 7 === 0 ? 0.9 : 0));
    const alone = fitDecision(
      { embeddings: stack(tight), labels: tight.map(() => "tight") },
      defaultDecision,
      defaultPriors,
    );
    const both = fitDecision(
      {
        embeddings: stack([...tight, ...wide]),
        labels: [...tight.map(() => "tight"), ...wide.map(() => "wide")],
      },
      defaultDecision,
      defaultPriors,
    );
    expect(alone.decide(stack([flaw])).kind).toBe("unknown");
    expect(both.decide(stack([flaw])).kind).toBe("unknown");
  });
});
