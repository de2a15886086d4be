import { describe, expect, it } from "vitest";
import { createBuilder, tensor } from "../graph/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import { openSession, Tensor } from "../runtime/index.ts";
import {
  clipByNorm,
  createOptimizer,
  factorAt,
  globalNorm,
  movingAverage,
  type OptimizerSpec,
} from "./index.ts";

/** A weight of four numbers and the slope of Σ w⁴/4 − c·w, which bends. */
const start = [0.5, -1.25, 2, 0.01];
const slope = (w: readonly number[]): number[] => w.map((v, i) => v ** 3 - [0.3, 0.7, -0.2, 1][i]!);

/** The published update rules once more, in plain float64. */
const references: Record<
  string,
  (spec: OptimizerSpec) => (w: number[], t: number, rate: number) => number[]
> = {
  sgd: (spec) => {
    const { momentum = 0.9, nesterov = false, weightDecay = 0 } = spec as OptimizerSpec & { kind: "sgd" };
    let v: number[] = start.map(() => 0);
    return (w, _, rate) => {
      const d = slope(w).map((g, i) => g + weightDecay * w[i]!);
      v = v.map((old, i) => momentum * old + d[i]!);
      return w.map((old, i) => old - rate * (nesterov ? d[i]! + momentum * v[i]! : v[i]!));
    };
  },
  adam: (spec) => {
    const {
      beta1 = 0.9,
      beta2 = 0.999,
      epsilon = 1e-8,
      weightDecay = 0,
    } = spec as OptimizerSpec & { kind: "adam" };
    let m: number[] = start.map(() => 0);
    let v: number[] = start.map(() => 0);
    const decoupled = spec.kind === "adamw";
    return (w, t, rate) => {
      const d = slope(w).map((g, i) => g + (decoupled ? 0 : weightDecay) * w[i]!);
      m = m.map((old, i) => beta1 * old + (1 - beta1) * d[i]!);
      v = v.map((old, i) => beta2 * old + (1 - beta2) * d[i]! ** 2);
      return w.map((old, i) => {
        const kept = decoupled ? old - rate * weightDecay * old : old;
        return kept - (rate * (m[i]! / (1 - beta1 ** t))) / (Math.sqrt(v[i]! / (1 - beta2 ** t)) + epsilon);
      });
    };
  },
};

describe("optimizers", () => {
  it.each<OptimizerSpec>([
    { kind: "sgd", momentum: 0 },
    { kind: "sgd" },
    { kind: "sgd", momentum: 0.8, nesterov: true, weightDecay: 0.05 },
    { kind: "adam" },
    { kind: "adam", beta1: 0.8, beta2: 0.95, weightDecay: 0.1 },
    { kind: "adamw", weightDecay: 0.1, epsilon: 1e-4 },
  ])("%o walks as the published rule does, over 20 steps", async (spec) => {
    const optimizer = createOptimizer(spec);
    const g = createBuilder("update");
    const input = (name: string) => g.input(name, "float32", [4]);
    const scalars = Object.fromEntries(
      Object.keys(optimizer.scalars(1, 1)).map((name) => [name, g.input(name, "float32", [])]),
    );
    const parts = { weight: input("w"), gradient: input("d"), slots: optimizer.slots.map(input), scalars };
    const updated = optimizer.update(g, parts, true);
    const outputs = Object.fromEntries(optimizer.slots.map((slot, i) => [`next/${slot}`, updated.slots[i]!]));
    const session = await openSession(writeModel(modelOf(g.build({ "next/w": updated.weight, ...outputs }))));
    const reference = references[spec.kind === "sgd" ? "sgd" : "adam"]!(spec);
    let expected = [...start];
    let states: Record<string, Tensor> = Object.fromEntries(
      ["w", ...optimizer.slots].map((name) => [
        name,
        new Tensor("float32", name === "w" ? start : [0, 0, 0, 0], [4]),
      ]),
    );
    for (let t = 1; t <= 20; t++) {
      const rate = 0.1 / t;
      const numbers = Object.entries(optimizer.scalars(t, rate)).map(([name, value]) => [
        name,
        new Tensor("float32", [value], []),
      ]);
      const d = new Tensor("float32", slope([...(states.w!.data as Float32Array)]), [4]);
      const results = await session.run({ ...states, d, ...Object.fromEntries(numbers) });
      states = Object.fromEntries(Object.keys(states).map((name) => [name, results[`next/${name}`]!]));
      expected = reference(expected, t, rate);
    }
    await session.close();
    const got = [...(states.w!.data as Float32Array)];
    got.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 5);
    });
    // It went somewhere.
    expect(Math.abs(got[1]! - start[1]!)).toBeGreaterThan(0.05);
  });

  it("leaves biases and gains out of weight decay", () => {
    for (const kind of ["sgd", "adam", "adamw"] as const) {
      const nodes = (decays: boolean): number => {
        const g = createBuilder("n");
        const optimizer = createOptimizer({ kind, weightDecay: 0.1 });
        const input = (name: string) => g.input(name, "float32", [2]);
        const scalars = Object.fromEntries(
          Object.keys(optimizer.scalars(1, 1)).map((name) => [name, g.input(name, "float32", [])]),
        );
        optimizer.update(
          g,
          { weight: input("w"), gradient: input("d"), slots: optimizer.slots.map(input), scalars },
          decays,
        );
        return g.nodes.length;
      };
      expect(nodes(true)).toBeGreaterThan(nodes(false));
    }
  });

  it("clips by the common norm, and leaves what is below the limit", async () => {
    const g = createBuilder("clip");
    const parts = [tensor("float32", [3, 0]), tensor("float32", [0, 4])].map((v) => g.constant(v));
    const norm = globalNorm(g, parts);
    const [a, b] = clipByNorm(g, parts, norm, 1);
    const [c] = clipByNorm(g, parts, norm, 10);
    const average = movingAverage(g, parts[0]!, parts[1]!, 0.75);
    const session = await openSession(writeModel(modelOf(g.build({ norm, a: a!, b: b!, c: c!, average }))));
    const results = await session.run({});
    const read = (name: string) => [...(results[name]!.data as Float32Array)];
    expect(read("norm")).toEqual([5]);
    read("a").forEach((v, i) => {
      expect(v).toBeCloseTo([0.6, 0][i]!, 6);
    });
    read("b").forEach((v, i) => {
      expect(v).toBeCloseTo([0, 0.8][i]!, 6);
    });
    expect(read("c")).toEqual([3, 0]);
    expect(read("average")).toEqual([2.25, 1]);
    await session.close();
  });
});

describe("schedules", () => {
  it("say the factor of each step", () => {
    const step = { kind: "step", every: 2000, factor: 0.5 } as const;
    expect([1, 2000, 2001, 4001].map((t) => factorAt(step, t, 9999))).toEqual([1, 1, 0.5, 0.25]);
    const multi = { kind: "multi-step", at: [20, 40], factors: [0.06, 0.012] } as const;
    expect([1, 20, 21, 40, 41].map((t) => factorAt(multi, t, 60))).toEqual([1, 1, 0.06, 0.06, 0.012]);
    const cosine = { kind: "cosine", least: 0.2 } as const;
    expect(factorAt(cosine, 1, 100)).toBe(1);
    expect(factorAt(cosine, 51, 100)).toBeCloseTo(0.6, 12);
    const warm = { kind: "constant", warmUp: 4 } as const;
    expect([1, 2, 4, 5].map((t) => factorAt(warm, t, 10))).toEqual([0.25, 0.5, 1, 1]);
  });
});
