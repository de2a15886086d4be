import { UMAP } from "umap-js";

/** What the page asks for: rows `[n × dim]`. The answer is places `[n × 2]`. */
export interface UmapQuestion {
  readonly rows: Float32Array;
  readonly n: number;
  readonly dim: number;
}

/** Mulberry32: the same map for the same gallery. */
function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let x = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

self.addEventListener("message", ({ data: { rows, n, dim } }: MessageEvent<UmapQuestion>) => {
  const list = Array.from({ length: n }, (_, i) => Array.from(rows.subarray(i * dim, (i + 1) * dim)));
  const umap = new UMAP({ nNeighbors: Math.min(15, n - 1), minDist: 0.1, random: seeded(1) });
  const places = umap.fit(list);
  self.postMessage(Float32Array.from(places.flatMap(([x, y]) => [x!, y!])));
});
