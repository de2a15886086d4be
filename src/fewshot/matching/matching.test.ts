import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng, type Embeddings, finish, isProtolineError, row, stack } from "../../core/index.ts";
import { cosineDistance, euclidean, squaredEuclidean } from "../distances.ts";
import { assembleKernels, plainKernels } from "./kernels.ts";
import { createMatcher, type MatcherOptions } from "./matcher.ts";
import { kernelMemory } from "./memory.ts";
import { layOut } from "./rows.ts";
import { Shortlist } from "./shortlist.ts";

const metrics = { cosine: cosineDistance, euclidean, squaredEuclidean } as const;
const kinds: readonly Omit<MatcherOptions, "metric">[] = [
  { precision: "float32" },
  { precision: "float32", simd: false },
  { precision: "int8" },
  { precision: "int8", simd: false },
];

/** Points about some centres, of lengths that differ `10^spread`-fold, with doubles and zeros among them. */
function cloud(seed: number, n: number, dim: number, spread = 1): Embeddings {
  const rng = createRng(seed);
  const centres = Array.from({ length: 1 + rng.int(5) }, () =>
    Float32Array.from({ length: dim }, () => rng.normal()),
  );
  const rows: Float32Array[] = [];
  for (let i = 0; i < n; i++) {
    const kind = rng.int(20);
    const size = 10 ** (spread * (rng.next() - 0.5));
    const centre = centres[rng.int(centres.length)]!;
    if (kind === 0) rows.push(new Float32Array(dim));
    else if (kind === 1 && i > 0) rows.push(rows[rng.int(i)]!);
    else rows.push(centre.map((v) => size * (v + 0.05 * rng.normal())));
  }
  return stack(rows, dim);
}

/** Every row by the plain functions of `distances.ts`, sorted. */
function oracle(rows: Embeddings, query: Float32Array, metric: keyof typeof metrics) {
  return Array.from({ length: rows.n }, (_, index) => ({
    index,
    distance: metrics[metric](query, row(rows, index)),
  })).sort((a, b) => a.distance - b.distance || a.index - b.index);
}

const sizes = {
  seed: fc.integer({ min: 1, max: 1e6 }),
  n: fc.integer({ min: 1, max: 700 }),
  dim: fc.integer({ min: 1, max: 200 }),
  q: fc.integer({ min: 1, max: 9 }),
  /** Lengths from 10⁻⁶ to 10⁶ too. */
  spread: fc.constantFrom(0, 1, 12),
  kind: fc.constantFrom(...kinds),
};

const failure = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (isProtolineError(error)) return `${error.code}: ${error.got}`;
    throw error;
  }
  return "nothing was thrown";
};

describe("createMatcher", () => {
  it("finds what comparing with every row in float64 finds, in its order", () => {
    fc.assert(
      fc.property(
        fc.record({
          ...sizes,
          k: fc.integer({ min: 1, max: 12 }),
          metric: fc.constantFrom(...(Object.keys(metrics) as (keyof typeof metrics)[])),
        }),
        ({ seed, n, dim, q, k, metric, kind, spread }) => {
          const rows = cloud(seed, n, dim, spread);
          const queries = cloud(seed + 1, q, dim, spread);
          const found = createMatcher(rows, { ...kind, metric }).nearest(queries, k);
          expect(found.length).toBe(q);
          found.forEach(({ indices, distances }, i) => {
            const query = row(queries, i);
            const want = oracle(rows, query, metric).slice(0, k);
            expect(indices.length).toBe(want.length);
            expect(new Set(indices).size).toBe(indices.length);
            want.forEach(({ index, distance }, r) => {
              // Squares are of the size of the vectors' own, whose last digits are lost in the difference.
              const squares =
                squaredEuclidean(query, new Float32Array(dim)) +
                squaredEuclidean(row(rows, index), new Float32Array(dim));
              const digits = metric === "cosine" ? 1e-13 : 1e-13 * squares;
              const tolerance = metric === "euclidean" ? Math.sqrt(digits) : digits;
              // The same row, or one that is as near to those digits.
              const own = metrics[metric](query, row(rows, indices[r]!));
              expect(Math.abs(own - distance)).toBeLessThanOrEqual(tolerance);
              expect(Math.abs(distances[r]! - distance)).toBeLessThanOrEqual(tolerance);
            });
          });
        },
      ),
      { numRuns: 150 },
    );
  });

  it("in int8 without the rows takes about a quarter of the memory, and is nearly right", () => {
    const rng = createRng(5);
    const draw = (n: number): Embeddings =>
      stack(Array.from({ length: n }, () => Float32Array.from({ length: 256 }, () => rng.normal())));
    const [rows, queries] = [draw(3000), draw(20)];
    const exact = createMatcher(rows);
    const rough = createMatcher(rows, { precision: "int8", rerank: false });
    expect(rough.bytes / exact.bytes).toBeLessThan(0.36);
    const wanted = exact.nearest(queries, 10);
    const got = rough.nearest(queries, 10);
    wanted.forEach(({ distances }, i) => {
      distances.forEach((distance, r) => {
        expect(got[i]!.distances[r]).toBeCloseTo(distance, 2);
      });
    });
    const recall = wanted.map(({ indices }, i) => indices.filter((x) => got[i]!.indices.includes(x)).length);
    expect(recall.reduce((sum, r) => sum + r, 0) / (10 * wanted.length)).toBeGreaterThan(0.7);
    expect(got.some(({ distances }, i) => distances.some((d, r) => d !== wanted[i]!.distances[r]))).toBe(
      true,
    );
  });

  it("finds nothing among no rows", () => {
    const none = createMatcher({ data: new Float32Array(0), n: 0, dim: 3 });
    expect(none.nearest(stack([Float32Array.of(1, 2, 3)]), 2)).toEqual([
      { indices: new Int32Array(0), distances: new Float64Array(0) },
    ]);
  });

  it("says what is wrong with what it is given", () => {
    const rows = stack([Float32Array.of(1, 2), Float32Array.of(3, 4)]);
    const matcher = createMatcher(rows);
    expect(failure(() => matcher.nearest(stack([Float32Array.of(1)]), 1))).toBe("DIMENSION_MISMATCH: 1");
    expect(failure(() => matcher.nearest(rows, 0))).toBe("INVALID_ARGUMENT: 0");
    expect(failure(() => matcher.nearest(rows, 1.5))).toBe("INVALID_ARGUMENT: 1.5");
    const broken = stack([Float32Array.of(1, 2), Float32Array.of(3, Number.NaN)]);
    expect(failure(() => matcher.nearest(broken, 1))).toBe("NOT_FINITE: NaN at position 1 of row 1");
    expect(failure(() => createMatcher(broken))).toBe("NOT_FINITE: NaN at position 1 of row 1");
  });
});

describe("products by the kernels", () => {
  it("are WebAssembly where there is some, for rows that are worth it", () => {
    expect(kernelMemory(2 ** 20).simd).toBe(true);
    expect(kernelMemory(2 ** 20, false).simd).toBe(false);
    expect(kernelMemory(100).simd).toBe(false);
  });

  it("are no further from float64 than they say", () => {
    fc.assert(
      fc.property(fc.record(sizes), ({ seed, n, dim, q, kind, spread }) => {
        const rows = cloud(seed, n, dim, spread);
        const queries = cloud(seed + 1, q, dim, spread);
        // Segments of a few rows, so that there are several.
        const laid = finish(layOut(n, dim, (i, out) => out.set(row(rows, i)), kind, 2 ** 16));
        const seen = Array.from({ length: q }, () => new Set<number>());
        laid.scan(
          Array.from({ length: q }, (_, i) => row(queries, i)),
          (query, first, count, products, slack) => {
            for (let i = 0; i < count; i++) {
              seen[query]!.add(first + i);
              const exact = row(queries, query).reduce((sum, v, d) => sum + v * row(rows, first + i)[d]!, 0);
              expect(Math.abs(products[i]! - exact)).toBeLessThanOrEqual(slack[i]!);
            }
          },
        );
        expect(seen.map((s) => s.size)).toEqual(seen.map(() => n));
      }),
      { numRuns: 60 },
    );
  });

  it("agree between WebAssembly and plain loops, each kernel", () => {
    const [stride, count] = [192, 6];
    const [fast, slow] = [kernelMemory(2 ** 18), new ArrayBuffer(2 ** 18)];
    const plain = plainKernels(slow);
    const [rowsAt, out] = [4096, 8192];
    const compare = (): void => {
      const got = new Float32Array(fast.buffer, out, 4 * count);
      new Float32Array(slow, out, 4 * count).forEach((v, i) => {
        expect(Math.abs(got[i]! - v)).toBeLessThanOrEqual(1e-6 * Math.max(10, Math.abs(v)));
      });
      expect(got.some((v) => v !== 0)).toBe(true);
    };
    const rng = createRng(3);
    for (const buffer of [new Float32Array(fast.buffer), new Float32Array(slow)])
      for (let i = 0, again = createRng(3); i < out / 4; i++) buffer[i] = again.normal();
    for (const run of [
      (k: typeof plain) => k.float1(0, rowsAt, count, stride, out),
      (k: typeof plain) => k.float4(0, rowsAt, count, stride, out),
    ]) {
      run(fast.kernels);
      run(plain);
      compare();
    }
    const shorts = Int16Array.from({ length: stride }, () => rng.int(65536) - 32768);
    const bytes = Int8Array.from({ length: stride * count }, () => rng.int(256) - 128);
    for (const [buffer, kernels] of [
      [fast.buffer, fast.kernels],
      [slow, plain],
    ] as const) {
      new Int16Array(buffer, 0, stride).set(shorts);
      new Int8Array(buffer, rowsAt, stride * count).set(bytes);
      kernels.int8(0, rowsAt, count, stride, out);
    }
    compare();
  });

  it("are a valid module of less than a page", () => {
    expect(assembleKernels().length).toBeLessThan(4096);
  });
});

describe("Shortlist", () => {
  it("keeps exactly what may be among the k least", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 5 })), {
          minLength: 1,
          maxLength: 1500,
        }),
        fc.integer({ min: 1, max: 20 }),
        (offers, k) => {
          const list = new Shortlist(k);
          offers.forEach(([value, slack], i) => {
            if (value - slack <= list.limit) list.add(i, value, slack);
          });
          const upper = offers.map(([value, slack]) => value + slack).sort((a, b) => a - b);
          const limit = upper[k - 1] ?? Number.POSITIVE_INFINITY;
          expect(list.entries().map(({ index }) => index)).toEqual(
            offers.flatMap(([value, slack], i) => (value - slack <= limit ? [i] : [])),
          );
        },
      ),
    );
  });
});
