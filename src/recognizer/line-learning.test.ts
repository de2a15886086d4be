import { describe, expect, it } from "vitest";
import { createRng, row, stack } from "../core/index.ts";
import { type DecisionSpec, defaultDecision, defaultPriors, fitDecision } from "../fewshot/index.ts";
import { createLineLearner, type LearningGallery } from "./line-learning.ts";
import type { Recognition } from "./types.ts";

const dim = 24;

/** Two classes of ten pictures, and frames of the first drawn more narrowly than they. */
function gallery(seed: number) {
  const rng = createRng(seed);
  const part = (at: number, spread: number): Float32Array =>
    Float32Array.from({ length: dim }, (_, d) => Math.max(0, (d % 2 === at ? 3 : 1) + spread * rng.normal()));
  const rows = [0, 1].flatMap((at) => Array.from({ length: 10 }, () => part(at, 0.5)));
  const labels = rows.map((_, i) => (i < 10 ? "gear" : "washer"));
  let fitted = fitDecision({ embeddings: stack(rows), labels }, defaultDecision, defaultPriors);
  const state = { number: 1, reasons: [] as string[] };
  const target: LearningGallery = {
    get revision() {
      return { number: state.number };
    },
    get decision() {
      return fitted.spec;
    },
    get limits() {
      return fitted.limits;
    },
    async setDecision(decision: DecisionSpec, { reason }) {
      fitted = fitted.withOpenSet(decision.openSet);
      state.number++;
      state.reasons.push(reason);
    },
  };
  const answer = (spread: number, at = 0): Recognition => {
    const decided = fitted.decide(stack([part(at, spread)]));
    const facts = {
      confidence: decided.candidates[0]!.confidence,
      distance: decided.candidates[0]!.distance,
      nearestSupport: [],
      gallery: "line",
      revision: state.number,
      model: "m",
      modelHash: "h",
      ms: { decode: 0, embed: 0, match: 0, total: 0 },
    };
    return { ...decided, ...facts };
  };
  return { target, state, answer, pictures: () => row(stack(rows), 0) };
}

describe("a line that is learned from", () => {
  it("moves the limits of classes inward, as a revision with its reason", async () => {
    const { target, state, answer } = gallery(1);
    const before = target.limits.get("gear")!.threshold!;
    const learner = createLineLearner(target, (error) => expect.unreachable(String(error)), {
      every: 100,
      delay: 5,
    });
    for (let i = 0; i < 300; i++) {
      learner.observe(answer(0.42));
      await learner.settled();
    }
    const gear = target.limits.get("gear")!;
    expect(state.reasons[0]).toMatch(/^limits learned from the line: "gear" by -\d+ % \(\d+ frames\)$/);
    expect(gear.threshold).toBeLessThan(before * 0.95);
    expect(gear.frames).toBeGreaterThan(50);
    expect(target.limits.get("washer")!.frames).toBeUndefined();
  });

  it("counts a part that stays before the camera once, and a picture that comes again", async () => {
    const { target, state, answer } = gallery(4);
    const learner = createLineLearner(target, (error) => expect.unreachable(String(error)), {
      every: 50,
      delay: 0,
    });
    const few = Array.from({ length: 15 }, () => answer(0.1));
    for (let i = 0; i < 600; i++) learner.observe(few[i % few.length]!);
    for (let i = 0; i < 600; i++) learner.observe(few[0]!);
    await learner.settled();
    expect(state.reasons).toEqual([]);
  });

  it("learns nothing from frames that a person called wrong, nor from those of another revision", async () => {
    const { target, state, answer } = gallery(2);
    const learner = createLineLearner(target, (error) => expect.unreachable(String(error)), {
      every: 50,
      delay: 60,
    });
    for (let i = 0; i < 200; i++) {
      const one = answer(0.42);
      learner.observe(one);
      learner.withdraw(one);
      learner.observe({ ...answer(0.42), revision: 99 });
    }
    await learner.settled();
    expect(state.reasons).toEqual([]);
  });

  it("begins anew for a class whose pictures changed", async () => {
    const { target, answer } = gallery(3);
    const learner = createLineLearner(target, (error) => expect.unreachable(String(error)), {
      every: 100,
      delay: 0,
    });
    for (let i = 0; i < 200; i++) {
      learner.observe(answer(0.42));
      await learner.settled();
    }
    const { learned } = target.decision.openSet;
    expect(learned?.map(({ label }) => label)).toEqual(["gear"]);
    // The shift names the pictures that it was learned beside: with others it is void.
    expect(learned![0]!.pictures).toBe(10);
  });
});
