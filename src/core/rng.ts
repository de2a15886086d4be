/**
 * A small seeded generator, so that everything random repeats from its seed.
 * xoshiro128** 1.1 (Blackman and Vigna 2018), seeded by SplitMix32.
 */
export interface Rng {
  /** Uniform in [0, 1), 32 bits. */
  next(): number;
  /** Uniform integer in [0, n). `n` must be in 1 … 2^32. */
  int(n: number): number;
  /** Normal with mean 0 and deviation 1 (Box and Muller 1958). */
  normal(): number;
  /** `k` different integers of [0, n), in random order (Fisher and Yates). */
  sample(n: number, k: number): number[];
  /** A shuffled copy. */
  shuffle<T>(items: readonly T[]): T[];
  /** An independent generator that depends on this one's seed and `stream` alone, not on what was drawn so far. */
  fork(stream: number): Rng;
}

function splitMix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return z ^ (z >>> 15);
  };
}

const rotl = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

/** @param seed any integer; its lowest 32 bits count. */
export function createRng(seed: number): Rng {
  const seeds = splitMix32(seed);
  let [a, b, c, d] = [seeds(), seeds(), seeds(), seeds()];

  const nextUint = (): number => {
    const result = Math.imul(rotl(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotl(d, 11);
    return result;
  };

  const rng: Rng = {
    next: () => nextUint() / 2 ** 32,
    // Multiplication instead of a remainder: the bias is below n / 2^32.
    int: (n) => Math.floor((nextUint() / 2 ** 32) * n),
    normal: () => Math.sqrt(-2 * Math.log(1 - rng.next())) * Math.cos(2 * Math.PI * rng.next()),
    sample: (n, k) => {
      const pool = Array.from({ length: n }, (_, i) => i);
      const count = Math.min(k, n);
      for (let i = 0; i < count; i++) {
        const j = i + rng.int(n - i);
        const held = pool[i]!;
        pool[i] = pool[j]!;
        pool[j] = held;
      }
      return pool.slice(0, count);
    },
    shuffle: (items) => rng.sample(items.length, items.length).map((i) => items[i]!),
    fork: (stream) => createRng(Math.imul(seed ^ 0x5bf03635, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b)),
  };
  return rng;
}
