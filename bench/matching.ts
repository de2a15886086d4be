/**
 * Finding the nearest of 1,000, 100,000 and 1,000,000 prototypes of 512, one query and 32 at a time: what `createMatcher` does, and
 * what it was chosen from. `npx tsx bench/matching.ts [--only 1000,100000] [--index 100000]` prints tables and writes
 * docs/results/bench-matching. Every contender of a size answers the same queries in one run. It asserts nothing.
 */
import { parseArgs } from "node:util";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { Index, MetricKind, ScalarKind } from "usearch";
import { publish } from "../scripts/results.ts";
import { createRng, type Embeddings, take } from "../src/core/index.ts";
import { createMatcher, l2, type MatcherOptions } from "../src/fewshot/index.ts";
import type { Attribute, DType, Graph, Node } from "../src/graph/index.ts";
import { modelOf, writeModel } from "../src/onnx/index.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "1000,100000,1000000" },
    index: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
  },
});
const seed = Number(values.seed);
const [dim, k, perCluster, asked] = [512, 10, 50, 32];

/**
 * Prototypes of length 1 in clusters of 50, as variants of one kind of part are: a centre on the sphere, each member moved from it
 * along eight directions of a pool of 256 that its cluster draws, and a little noise; a query is a prototype with noise of its own.
 */
function prototypes(n: number): { readonly rows: Embeddings; readonly queries: Embeddings } {
  const rng = createRng(seed);
  // Uniform with deviation 1: a thousand million normal numbers take minutes.
  const noise = (): number => (rng.next() - 0.5) * Math.sqrt(12);
  const direction = (): Float32Array => l2(Float32Array.from({ length: dim }, noise));
  const pool = Array.from({ length: 256 }, direction);
  const data = new Float32Array(n * dim);
  let centre = direction();
  let own: Float32Array[] = [];
  for (let i = 0; i < n; i++) {
    if (i % perCluster === 0) {
      centre = direction();
      own = Array.from({ length: 8 }, () => pool[rng.int(pool.length)]!);
    }
    const member = data.subarray(i * dim, (i + 1) * dim);
    for (let j = 0; j < dim; j++) member[j] = centre[j]! + (0.2 * noise()) / Math.sqrt(dim);
    for (const along of own) {
      const size = 0.25 * noise();
      for (let j = 0; j < dim; j++) member[j]! += size * along[j]!;
    }
    l2(member, member);
  }
  const rows = { data, n, dim };
  const queries = take(
    rows,
    Array.from({ length: asked }, () => rng.int(n)),
  );
  for (let i = 0; i < queries.data.length; i++) queries.data[i]! += (0.4 * noise()) / Math.sqrt(dim);
  for (let i = 0; i < asked; i++)
    l2(queries.data.subarray(i * dim, (i + 1) * dim), queries.data.subarray(i * dim, (i + 1) * dim));
  return { rows, queries };
}

/** Indices of the `k` nearest of each query. */
type Found = readonly (readonly number[])[];
interface Contender {
  readonly bytes: number;
  find(queries: Embeddings): Found | Promise<Found>;
  close?(): unknown;
}

const some = (e: Embeddings, from: number, count: number): Embeddings => ({
  data: e.data.subarray(from * dim, (from + count) * dim),
  n: count,
  dim,
});

/** What heads did before: a float64 array a class, one after the other. */
function classByClass(rows: Embeddings): Contender {
  const sums = Array.from({ length: rows.n }, (_, i) => Float64Array.from(some(rows, i, 1).data));
  return {
    bytes: rows.n * dim * 8,
    find: (queries) =>
      Array.from({ length: queries.n }, (_, q) => {
        const x = Float64Array.from(some(queries, q, 1).data);
        const scores = new Float64Array(rows.n);
        for (let c = 0; c < rows.n; c++) {
          const sum = sums[c]!;
          let [s0, s1, s2, s3] = [0, 0, 0, 0];
          for (let i = 0; i < dim; i += 4) {
            s0 += x[i]! * sum[i]!;
            s1 += x[i + 1]! * sum[i + 1]!;
            s2 += x[i + 2]! * sum[i + 2]!;
            s3 += x[i + 3]! * sum[i + 3]!;
          }
          scores[c] = s0 + s1 + (s2 + s3);
        }
        return best(scores);
      }),
  };
}

/** The `k` highest, by insertion: next to the products it costs nothing. */
function best(scores: Float64Array): number[] {
  const first: number[] = [];
  for (let i = 0; i < scores.length; i++) {
    if (first.length === k && scores[i]! <= scores[first[k - 1]!]!) continue;
    if (first.length === k) first.pop();
    let at = first.length;
    while (at > 0 && scores[first[at - 1]!]! < scores[i]!) at--;
    first.splice(at, 0, i);
  }
  return first;
}

function matcher(rows: Embeddings, options: MatcherOptions): Contender {
  const made = createMatcher(rows, options);
  return {
    bytes: made.bytes,
    find: (queries) => made.nearest(queries, k).map(({ indices }) => [...indices]),
  };
}

const node = (
  op: string,
  inputs: string[],
  outputs: string[],
  attributes: Record<string, Attribute> = {},
): Node => ({
  name: outputs[0]!,
  op,
  domain: "",
  inputs,
  outputs,
  attributes,
});

/** Rows `[n, dim]` times queries `[dim, q]`, then TopK over the rows; the rows are fed by reference. */
async function onnx(rows: Embeddings, int8: boolean): Promise<Contender> {
  const { n } = rows;
  const type: DType = int8 ? "int8" : "float32";
  const graph: Graph = {
    name: "nearest",
    opsets: { "": 21 },
    inputs: [
      { name: "rows", dtype: type, shape: [n, dim] },
      { name: "queries", dtype: type, shape: [dim, "q"] },
      ...(int8 ? [{ name: "scales", dtype: "float32" as const, shape: [n, 1] }] : []),
    ],
    outputs: [{ name: "indices", dtype: "int64", shape: [k, "q"] }],
    nodes: [
      ...(int8
        ? [
            node("MatMulInteger", ["rows", "queries"], ["whole"]),
            node("Cast", ["whole"], ["cast"], { to: { type: "int", value: 1 } }),
            node("Mul", ["cast", "scales"], ["scores"]),
          ]
        : [node("MatMul", ["rows", "queries"], ["scores"])]),
      node("TopK", ["scores", "k"], ["top", "indices"], { axis: { type: "int", value: 0 } }),
    ],
    initializers: new Map([["k", { dtype: "int64", dims: [1], data: BigInt64Array.of(BigInt(k)) }]]),
  };
  const session = await InferenceSession.create(writeModel(modelOf(graph)), { logSeverityLevel: 3 });
  const feeds: Record<string, Tensor> = {};
  if (int8) {
    const [data, scales] = [new Int8Array(n * dim), new Float32Array(n)];
    for (let i = 0; i < n; i++) scales[i] = round(rows.data, i * dim, data);
    feeds.rows = new Tensor("int8", data, [n, dim]);
    feeds.scales = new Tensor("float32", scales, [n, 1]);
  } else feeds.rows = new Tensor("float32", rows.data, [n, dim]);
  return {
    bytes: n * dim * (int8 ? 1 : 4),
    find: async (queries) => {
      const across = new Float32Array(dim * queries.n);
      for (let q = 0; q < queries.n; q++)
        for (let i = 0; i < dim; i++) across[i * queries.n + q] = queries.data[q * dim + i]!;
      const size = across.reduce((most, v) => Math.max(most, Math.abs(v)), 0) / 127;
      const given = int8
        ? new Tensor(
            "int8",
            Int8Array.from(across, (v) => Math.round(v / size)),
            [dim, queries.n],
          )
        : new Tensor("float32", across, [dim, queries.n]);
      const { indices } = await session.run({ ...feeds, queries: given });
      const all = indices!.data as BigInt64Array;
      return Array.from({ length: queries.n }, (_, q) =>
        Array.from({ length: k }, (_, r) => Number(all[r * queries.n + q])),
      );
    },
    close: () => session.release(),
  };
}

/** Row at `at` in int8, into the same place of `out`; its scale. */
function round(data: Float32Array, at: number, out: Int8Array): number {
  let most = 0;
  for (let j = at; j < at + dim; j++) most = Math.max(most, Math.abs(data[j]!));
  const scale = most / 127;
  for (let j = at; j < at + dim; j++) out[j] = Math.round(data[j]! / scale);
  return scale;
}

let built = "";
function usearch(rows: Embeddings, quantization: ScalarKind): Contender {
  const before = process.memoryUsage().rss;
  const started = performance.now();
  const index = new Index({
    dimensions: dim,
    metric: MetricKind.Cos,
    quantization,
    connectivity: 16,
    expansion_add: 128,
    expansion_search: 64,
    multi: false,
  });
  const step = 10_000;
  for (let from = 0; from < rows.n; from += step) {
    const count = Math.min(step, rows.n - from);
    index.add(
      BigUint64Array.from({ length: count }, (_, i) => BigInt(from + i)),
      some(rows, from, count).data,
      0,
    );
  }
  built = `${((performance.now() - started) / 1000).toFixed(0)} s`;
  return {
    bytes: process.memoryUsage().rss - before,
    find: (queries) => {
      const { keys } = index.search(queries.data, k, 0);
      return Array.from({ length: queries.n }, (_, q) => [...keys.subarray(q * k, (q + 1) * k)].map(Number));
    },
  };
}

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)]!;

interface Row {
  readonly name: string;
  readonly n: number;
  readonly bytes: number;
  /** Milliseconds a query, sorted, by batch. */
  readonly one: readonly number[];
  readonly many: readonly number[];
  readonly recall1: number;
  readonly recall10: number;
}

async function measure(
  name: string,
  n: number,
  contender: Contender,
  queries: Embeddings,
  truth: Found,
): Promise<Row> {
  const found = await contender.find(queries);
  const rate = (first: number): number =>
    truth.reduce(
      (sum, want, q) =>
        sum + want.slice(0, first).filter((i) => found[q]!.slice(0, first).includes(i)).length,
      0,
    ) /
    (first * truth.length);
  const time = async (batch: number, seconds: number, most: number): Promise<number[]> => {
    const ms: number[] = [];
    const until = performance.now() + 1000 * seconds;
    for (let i = 0; ms.length < (batch > 1 ? 1 : 3) || (ms.length < most && performance.now() < until); i++) {
      const part = some(queries, (i * batch) % (asked - batch + 1), batch);
      const started = performance.now();
      await contender.find(part);
      ms.push((performance.now() - started) / batch);
    }
    return ms.sort((a, b) => a - b);
  };
  const row = {
    name,
    n,
    bytes: contender.bytes,
    one: await time(1, 3, 500),
    many: await time(32, 3, 100),
    recall1: rate(1),
    recall10: rate(10),
  };
  await contender.close?.();
  console.log(
    name,
    n,
    quantile(row.one, 0.5).toFixed(2),
    quantile(row.many, 0.5).toFixed(2),
    row.recall1,
    row.recall10,
  );
  return row;
}

const contenders: readonly (readonly [
  name: string,
  make: (rows: Embeddings) => Contender | Promise<Contender>,
  most?: number,
])[] = [
  ["float64, class by class (as it was)", classByClass, 100_000],
  ["plain loops, float32", (rows) => matcher(rows, { simd: false }), 100_000],
  ["**WASM SIMD, float32** (`createMatcher`)", (rows) => matcher(rows, {})],
  ["WASM SIMD, int8, compared again (`int8`)", (rows) => matcher(rows, { precision: "int8" })],
  ["WASM SIMD, int8 alone (`rerank: false`)", (rows) => matcher(rows, { precision: "int8", rerank: false })],
  ["ONNX Runtime, MatMul and TopK", (rows) => onnx(rows, false)],
  ["ONNX Runtime, MatMulInteger and TopK", (rows) => onnx(rows, true)],
  ["usearch, float32", (rows) => usearch(rows, ScalarKind.F32), Number(values.index)],
  ["usearch, int8", (rows) => usearch(rows, ScalarKind.I8), Number(values.index)],
];

const all: Row[] = [];
const notes: string[] = [];
for (const n of values.only.split(",").map(Number)) {
  const { rows, queries } = prototypes(n);
  // Beyond 100,000 by createMatcher, which finds the same; the tests hold it to that.
  const truth = await (n > 100_000 ? matcher(rows, {}) : classByClass(rows)).find(queries);
  for (const [name, make, most = Number.POSITIVE_INFINITY] of contenders) {
    if (n > most) continue;
    built = "";
    all.push(await measure(name, n, await make(rows), queries, truth));
    if (built !== "") notes.push(`${name} took ${built} to build over ${n.toLocaleString("en")}.`);
  }
}
const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(bytes < 2 ** 24 ? 1 : 0);
await publish({
  name: "bench-matching",
  script: "matching",
  folder: "bench",
  title: "Matching bench",
  about: [
    `The ${k} nearest of n prototypes of ${dim} by cosine, milliseconds a query, alone and in batches of 32; memory of what is searched, without the ${dim * 4} bytes a prototype of the caller's own where they are referred to. Recall: the share of the ${k} (of the 1) nearest by float64 that is found, over ${asked} queries.`,
    `Prototypes have length 1 and come in clusters of ${perCluster}: a centre drawn on the sphere, each member moved along eight directions (of a pool of 256, drawn by its cluster) by 0.25 each, with noise of length 0.2; a query is a prototype with noise of length 0.4. Uniform deviates.`,
    "ONNX Runtime and usearch use all cores, the others one. × is the time against `createMatcher` of that size and batch.",
    ...notes,
  ],
  tables: [...new Set(all.map((r) => r.n))].map((n) => {
    const rows = all.filter((r) => r.n === n);
    const base = rows.find(({ name }) => name.startsWith("**"))!;
    const p50 = (ms: readonly number[]): number => quantile(ms, 0.5);
    return {
      title: `${n.toLocaleString("en")} prototypes`,
      columns: ["", "1: p50 ms", "p95", "×", "32: p50 ms", "p95", "×", "MiB", "recall@1", "recall@10"],
      rows: rows.map((r) => [
        r.name,
        ...[r.one, r.many].flatMap((ms, i) => [
          p50(ms).toFixed(3),
          quantile(ms, 0.95).toFixed(3),
          (p50(ms) / p50(i === 0 ? base.one : base.many)).toFixed(2),
        ]),
        mib(r.bytes),
        r.recall1.toFixed(3),
        r.recall10.toFixed(3),
      ]),
    };
  }),
  seed,
  data: all.map(({ one, many, ...rest }) => ({
    ...rest,
    one: [quantile(one, 0.5), quantile(one, 0.95), one.length],
    many: [quantile(many, 0.5), quantile(many, 0.95), many.length],
  })),
});
