/** A SHA-256 under way (FIPS 180-4); texts count as UTF-8. */
export interface Sha256 {
  update(data: string | Uint8Array): this;
  /** Of all that came so far, hex; more may follow. */
  digest(): string;
}

/**
 * SHA-256 in one go, hex. Node's own implementation where there is one, else plain TypeScript: a browser offers only
 * an asynchronous one, and that only to pages of a secure origin.
 */
export function sha256(data: string | Uint8Array): string {
  return createSha256().update(data).digest();
}

export const createSha256: () => Sha256 = nativeSha256() ?? portableSha256;

function nativeSha256(): (() => Sha256) | undefined {
  // Asked for at run time, so that a bundler for browsers finds no import to resolve.
  const { process } = globalThis as { readonly process?: Partial<NodeJS.Process> };
  const crypto = process?.getBuiltinModule?.("node:crypto");
  if (!crypto) return undefined;
  return () => {
    const hash = crypto.createHash("sha256");
    return {
      update(data) {
        hash.update(data);
        return this;
      },
      digest: () => hash.copy().digest("hex"),
    };
  };
}

/** The first 32 bits of the fractional parts of `root(prime)` for the first `count` primes. */
function fractions(count: number, root: (prime: number) => number): Int32Array {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return Int32Array.from(primes, (prime) => Math.floor((root(prime) % 1) * 2 ** 32) | 0);
}

const initial = Uint32Array.from(fractions(8, Math.sqrt));
const constants = fractions(64, Math.cbrt);
const block = 64;

/** The implementation for where Node is not; exported for its test. */
export function portableSha256(): Sha256 {
  const state = initial.slice();
  /** Bytes that do not fill a block yet. */
  const rest = new Uint8Array(block);
  let filled = 0;
  let length = 0;
  return {
    update(data) {
      const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
      length += bytes.length;
      let from = 0;
      if (filled > 0) {
        from = Math.min(block - filled, bytes.length);
        rest.set(bytes.subarray(0, from), filled);
        filled += from;
        if (filled < block) return this;
        compress(state, rest, 0);
        filled = 0;
      }
      for (; from + block <= bytes.length; from += block) compress(state, bytes, from);
      rest.set(bytes.subarray(from));
      filled = bytes.length - from;
      return this;
    },
    digest() {
      const last = new Uint8Array(filled < 56 ? block : 2 * block);
      last.set(rest.subarray(0, filled));
      last[filled] = 0x80;
      const view = new DataView(last.buffer);
      view.setUint32(last.length - 8, Math.floor(length / 2 ** 29));
      view.setUint32(last.length - 4, (length * 8) >>> 0);
      const end = state.slice();
      for (let from = 0; from < last.length; from += block) compress(end, last, from);
      return Array.from(end, (word) => word.toString(16).padStart(8, "0")).join("");
    },
  };
}

const words = new Int32Array(64);

function compress(state: Uint32Array, bytes: Uint8Array, from: number): void {
  for (let i = 0; i < 16; i++) {
    const at = from + 4 * i;
    words[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }
  for (let i = 16; i < 64; i++) {
    const x = words[i - 15]!;
    const y = words[i - 2]!;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    words[i] = (words[i - 16]! + s0 + words[i - 7]! + s1) | 0;
  }
  let a = state[0]! | 0;
  let b = state[1]! | 0;
  let c = state[2]! | 0;
  let d = state[3]! | 0;
  let e = state[4]! | 0;
  let f = state[5]! | 0;
  let g = state[6]! | 0;
  let h = state[7]! | 0;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + constants[i]! + words[i]!) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
  state[5]! += f;
  state[6]! += g;
  state[7]! += h;
}
