import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { batchOf, bundleOf, normals, pictures, shape, tinyNet } from "../../test/compress/nets.ts";
import { createRng, isProtolineError } from "../core/index.ts";
import { createBuilder, evaluate, type Graph, numbersOf, sizeOf, tensor } from "../graph/index.ts";
import { pruneBundle } from "./bundles.ts";
import { type Channels, channelsOf } from "./channels.ts";
import { cut } from "./cut.ts";
import { fineTune } from "./fine-tune.ts";
import { gradientImportance } from "./gradient-importance.ts";
import { normImportance } from "./importance.ts";
import { prepare } from "./prepare.ts";
import { choose } from "./prune.ts";
import { makeUpFor, mixedValues, momentsOf } from "./reconstruct.ts";
import { solvePositive } from "./solve.ts";

const inputs = { pictures: pictures(16), shape };
const batch = batchOf(inputs.pictures.slice(0, 3));
const embed = (graph: Graph): Float64Array => Object.values(evaluate(graph, { images: batch }))[0]!.data;
const worst = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (v, i) => Math.abs(v - b[i]!)));

/** The graph with every part that makes or scales the chosen groups set to zero, and what reads them left as it is. */
function silence(graph: Graph, { slots, root }: Channels, chosen: ReadonlySet<number>): Graph {
  const initializers = new Map(graph.initializers);
  for (const { constant, axis, role, ids } of slots) {
    // Zero with a deviation of zero would be no number.
    if (role === "reads" || constant === "norm/variance") continue;
    const value = initializers.get(constant)!;
    const after = sizeOf(value.dims.slice(axis + 1));
    const numbers = numbersOf(value).map((v, i) =>
      chosen.has(root(ids[Math.floor(i / after) % ids.length]!)) ? 0 : v,
    );
    initializers.set(constant, tensor("float32", numbers, value.dims));
  }
  return { ...graph, initializers };
}

describe("channels", () => {
  it("ties a residual stream into one width, a depthwise convolution to what it reads, and groups to each other", () => {
    const { layers } = channelsOf(tinyNet());
    expect(layers.map(({ groups, perGroup }) => [groups.length, perGroup])).toEqual([
      // The stream's channels are read by a convolution of two groups, so that they go in pairs.
      [8, 2],
      [32, 1],
      [32, 1],
      [8, 1],
      [8, 2],
      [8, 1],
    ]);
  });

  it("cut channels that are silent without a trace: residual, depthwise, grouped, concatenated, flattened", () => {
    for (const folded of [false, true]) {
      const graph = folded ? prepare(bundleOf(tinyNet(3))) : tinyNet(3);
      const channels = channelsOf(graph);
      const all = channels.layers.flatMap(({ groups }) => groups);
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (seed) => {
          const rng = createRng(seed);
          const chosen = new Set(all.filter(() => rng.next() < 0.4));
          fc.pre(channels.layers.every(({ groups }) => groups.some((group) => !chosen.has(group))));
          const quiet = silence(graph, channels, chosen);
          const smaller = cut(quiet, channels, (root) => chosen.has(root));
          expect(worst(embed(smaller), embed(quiet))).toBeLessThan(1e-9);
          const numbers = (of: Graph): number =>
            [...of.initializers.values()].reduce((n, t) => n + t.data.length, 0);
          if (chosen.size > 0) expect(numbers(smaller)).toBeLessThan(numbers(graph));
        }),
        { numRuns: 6 },
      );
    }
  });

  it("keep what goes into operators that are not understood, and the embedding", () => {
    const g = createBuilder();
    const rng = createRng(2);
    const x = g.input("images", "float32", ["N", 3, 4, 4]);
    const shuffled = g.Transpose(g.Conv(x, normals(rng, [8, 3, 1, 1])), { perm: [0, 2, 3, 1] });
    const back = g.Transpose(shuffled, { perm: [0, 3, 1, 2] });
    const graph = g.build({ y: g.GlobalAveragePool(g.Conv(back, normals(rng, [8, 8, 1, 1]))) });
    const channels = channelsOf(graph);
    expect(channels.layers).toEqual([]);
    expect(() => choose(channels, new Map(), { share: 0.5 })).toThrow(/channels can be followed/);
  });

  it("tie a constant's channels where two convolutions share it", () => {
    const g = createBuilder();
    const rng = createRng(4);
    const x = g.input("images", "float32", ["N", 3, 4, 4]);
    const shared = g.constant(normals(rng, [8, 3, 1, 1]), "shared");
    const [a, b] = [g.Relu(g.Conv(x, shared)), g.Conv(g.Neg(x), shared)];
    const last = (v: typeof a) => g.Conv(v, normals(rng, [4, 8, 1, 1]));
    const graph = g.build({ y: g.Add(last(a), last(b)) });
    const channels = channelsOf(graph);
    expect(channels.layers.map(({ groups }) => groups.length)).toEqual([8]);
    const chosen = new Set(channels.layers[0]!.groups.slice(0, 3));
    const smaller = cut(graph, channels, (root) => chosen.has(root));
    expect(smaller.initializers.get("shared")!.dims).toEqual([5, 3, 1, 1]);
  });
});

describe("choose", () => {
  const channels = channelsOf(tinyNet());
  const flat = new Map(
    channels.layers.flatMap(({ groups }) => groups.map((group, i) => [group, i] as const)),
  );

  it("takes the least important, in blocks, and comes near the share", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.05, max: 0.9, noNaN: true }),
        fc.constantFrom(1, 2, 4, 8),
        (share, multiple) => {
          const { layers, share: came, gone } = choose(channels, flat, { share, multiple });
          for (const { before, after } of layers) {
            expect(after).toBeGreaterThan(0);
            expect(after).toBeLessThanOrEqual(before);
            if (before % multiple === 0) expect(after % multiple).toBe(0);
          }
          for (const { groups } of channels.layers) {
            const lost = groups.filter((group) => gone.has(group));
            expect(lost).toEqual(groups.slice(0, lost.length));
          }
          if (multiple === 1 && share < 0.8) expect(Math.abs(came - share)).toBeLessThan(0.03);
        },
      ),
    );
  });

  it("spares what matters where importances compare, and starves no width", () => {
    const [stream, ...others] = channels.layers;
    const weights = new Map(
      channels.layers.flatMap((layer) =>
        layer.groups.map((group) => [group, layer === stream ? 100 : 1] as const),
      ),
    );
    const { layers, share } = choose(channels, weights, { share: 0.4, multiple: 1, spread: "global" });
    expect(layers[0]!.after).toBe(layers[0]!.before);
    expect(others).toHaveLength(5);
    expect(Math.abs(share - 0.4)).toBeLessThan(0.02);
    const most = choose(channels, weights, { share: 0.99, multiple: 2, spread: "global" });
    for (const { before, after } of most.layers) expect(after / before).toBeGreaterThanOrEqual(0.25);
  });

  it("refuses shares that are none", () => {
    for (const share of [0, 1, -0.1, Number.NaN])
      expect(() => choose(channels, flat, { share })).toThrow(/share of the channels between 0 and 1/);
    expect(() => choose(channels, flat, { share: 0.3, multiple: 0 })).toThrow(/block/);
  });
});

describe("importance", () => {
  it("is least for channels that are silent, by norm and by gradient", async () => {
    const graph = prepare(bundleOf(tinyNet(7)));
    const channels = channelsOf(graph);
    const chosen = new Set(channels.layers.flatMap(({ groups }) => groups.slice(2, 5)));
    const quiet = silence(graph, channels, chosen);
    const gradient = await gradientImportance(quiet, channels, inputs, { threads: 1 });
    const norm = normImportance(quiet, channels);
    for (const { groups } of channels.layers) {
      const order = [...groups].sort((a, b) => norm.get(a)! - norm.get(b)!);
      expect(new Set(order.slice(0, 3))).toEqual(new Set(groups.slice(2, 5)));
      // A rectifier may have silenced others too, on these pictures.
      expect(groups.filter((group) => gradient.get(group) === 0)).toEqual(
        expect.arrayContaining(groups.slice(2, 5)),
      );
      expect(groups.filter((group) => gradient.get(group)! > 0).length).toBeGreaterThan(groups.length / 4);
    }
  });
});

describe("making up", () => {
  it("solves what it is given", () => {
    const rng = createRng(9);
    const n = 7;
    const root = Float64Array.from({ length: n * n }, () => rng.normal());
    const a = Float64Array.from({ length: n * n }, (_, at) => {
      let sum = at % n === Math.floor(at / n) ? 0.1 : 0;
      for (let k = 0; k < n; k++) sum += root[Math.floor(at / n) * n + k]! * root[(at % n) * n + k]!;
      return sum;
    });
    const right = Float64Array.from({ length: 2 * n }, () => rng.normal());
    const x = solvePositive(a, right, n);
    for (let r = 0; r < 2; r++)
      for (let i = 0; i < n; i++) {
        let sum = 0;
        for (let k = 0; k < n; k++) sum += a[i * n + k]! * x[r * n + k]!;
        expect(sum).toBeCloseTo(right[r * n + i]!, 8);
      }
  });

  it("loses next to nothing where the lost channel is a mixture of kept ones", async () => {
    const rng = createRng(11);
    const g = createBuilder();
    const w = normals(rng, [9, 3, 1, 1]);
    // Channel 8 = 2·channel 0 − channel 3 + 1, everywhere.
    for (let i = 0; i < 3; i++) w.data[24 + i] = 2 * w.data[i]! - w.data[9 + i]!;
    const b = tensor("float32", [0, 1, 2, 3, 4, 5, 6, 7, 2 * 0 - 3 + 1]);
    const y = g.Conv(g.input("images", "float32", ["N", ...shape]), w, b);
    const graph = g.build({ embedding: g.GlobalAveragePool(g.Conv(y, normals(rng, [5, 9, 1, 1]))) });
    const channels = channelsOf(graph);
    const last = channels.layers[0]!.groups[8]!;
    const gone = (root: number): boolean => root === last;
    const moments = await momentsOf(graph, [...mixedValues(graph, channels).keys()], inputs, { threads: 1 });
    const without = worst(embed(cut(graph, channels, gone)), embed(graph));
    const made = worst(embed(cut(makeUpFor(graph, channels, moments, gone), channels, gone)), embed(graph));
    expect(without).toBeGreaterThan(0.1);
    expect(made).toBeLessThan(0.02 * without);
  });
});

describe("pruneBundle", () => {
  it("gives a smaller bundle with the same embedding, nearer to the whole after fine-tuning; equal seeds, equal bytes", async () => {
    const bundle = bundleOf(tinyNet());
    const options = {
      share: 0.3,
      multiple: 2,
      threads: 1,
      fineTune: { steps: 60, batch: 8, rate: 3e-3 },
    } as const;
    const pruned = await pruneBundle(bundle, inputs, options);
    expect(pruned.bundle.model.length).toBeLessThan(bundle.model.length);
    expect(pruned.bundle.manifest).toMatchObject({
      embeddingDim: 10,
      name: expect.stringMatching(/^tiny-pruned\d+$/),
    });
    expect(Math.abs(pruned.share - 0.3)).toBeLessThan(0.06);
    const [first, last] = pruned.losses!;
    expect(last).toBeLessThan(0.8 * first);
    const again = await pruneBundle(bundle, inputs, options);
    expect(again.bundle.manifest.model.sha256).toBe(pruned.bundle.manifest.model.sha256);
    const raw = await pruneBundle(bundle, inputs, {
      ...options,
      importance: "norm",
      makeUp: false,
      fineTune: null,
    });
    expect(raw.losses).toBeNull();
    expect(embed(prepare(raw.bundle))).toHaveLength(30);
  });

  it("stops the fine-tuning where it is asked to, and refuses what cannot be", async () => {
    const graph = prepare(bundleOf(tinyNet()));
    const ended = new AbortController();
    let steps = 0;
    const tuned = await fineTune(graph, graph, inputs, {
      steps: 100,
      threads: 1,
      signal: ended.signal,
      onProgress: ({ step }) => {
        steps = step;
        if (step === 2) ended.abort();
      },
    });
    expect(steps).toBe(2);
    expect(tuned.nodes).toEqual(graph.nodes);
    const code = await fineTune(graph, graph, inputs, { steps: 0 }).catch((error: unknown) =>
      isProtolineError(error) ? error.code : error,
    );
    expect(code).toBe("INVALID_ARGUMENT");
  });
});
