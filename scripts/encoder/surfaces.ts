import { createRng, type Rng } from "../../src/core/index.ts";

/** Pixels of a side. */
export const surfaceSide = 128;

/**
 * A picture of a bare surface, often with a flaw, drawn by chance: rolled, brushed, cast or coated material in weak
 * contrast, as it lies under an inspection camera. It is for a student to learn from, whose teacher says what is alike;
 * no kind has a name. `[side × side × 3]`, red, green, blue.
 */
export function drawSurface(seed: number): Uint8Array {
  const rng = createRng(seed);
  const n = surfaceSide;
  const gray = new Float32Array(n * n).fill(between(rng, 60, 200));
  const turn = rng.next() < 0.6 ? rng.int(2) * 0.5 : rng.next();
  const stretch = 4 ** between(rng, 0, 2);
  const contrast = 2 ** between(rng, 0, 5);
  for (const octave of [0, 1, 2, 3])
    addNoise(gray, rng, {
      cell: 2 ** between(rng, 5 - octave, 6 - octave),
      stretch,
      turn,
      height: contrast * between(rng, 0.3, 1) * 0.6 ** octave,
    });
  if (rng.next() < 0.25) addWave(gray, rng, contrast);
  const flaws = [addScratches, addSpots, addPatch, addCracks, addStripe, addPits];
  const kinds = rng.next() < 0.15 ? 0 : 1 + rng.int(2);
  for (let i = 0; i < kinds; i++) flaws[rng.int(flaws.length)]!(gray, rng, contrast, turn);
  addLight(gray, rng);

  const tint = rng.next() < 0.5 ? [1, 1, 1] : [0, 1, 2].map(() => between(rng, 0.8, 1.15));
  const grain = between(rng, 0, 5);
  const out = new Uint8Array(n * n * 3);
  for (let p = 0; p < n * n; p++) {
    const value = gray[p]! + grain * rng.normal();
    for (let c = 0; c < 3; c++) out[3 * p + c] = Math.min(255, Math.max(0, value * tint[c]!));
  }
  return out;
}

const between = (rng: Rng, low: number, high: number): number => low + (high - low) * rng.next();

interface Noise {
  /** Pixels between two drawn values, across the grain. */
  readonly cell: number;
  /** Times the cell along the grain. */
  readonly stretch: number;
  /** Of the grain, in half turns. */
  readonly turn: number;
  readonly height: number;
}

/** Smooth noise: values at the corners of cells, smoothly between them. */
function addNoise(gray: Float32Array, rng: Rng, { cell, stretch, turn, height }: Noise): void {
  const n = surfaceSide;
  const [cos, sin] = [Math.cos(Math.PI * turn), Math.sin(Math.PI * turn)];
  const salt = rng.int(2 ** 31);
  for (let y = 0; y < n; y++)
    for (let x = 0; x < n; x++) {
      const u = (cos * x + sin * y) / (cell * stretch) + 1000;
      const v = (cos * y - sin * x) / cell + 1000;
      const [u0, v0] = [Math.floor(u), Math.floor(v)];
      const [fu, fv] = [smooth(u - u0), smooth(v - v0)];
      const upper = corner(u0, v0, salt) * (1 - fu) + corner(u0 + 1, v0, salt) * fu;
      const lower = corner(u0, v0 + 1, salt) * (1 - fu) + corner(u0 + 1, v0 + 1, salt) * fu;
      gray[y * n + x]! += height * (upper * (1 - fv) + lower * fv);
    }
}

const smooth = (t: number): number => t * t * (3 - 2 * t);

/** A value of −1 … 1 that only place and salt decide. */
function corner(u: number, v: number, salt: number): number {
  let h = Math.imul(u, 0x9e3779b1) ^ Math.imul(v, 0x85ebca6b) ^ salt;
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 2 ** 31 - 1;
}

function addWave(gray: Float32Array, rng: Rng, contrast: number): void {
  const n = surfaceSide;
  const angle = between(rng, 0, Math.PI);
  const period = 2 ** between(rng, 2, 5.5);
  const [cos, sin] = [Math.cos(angle) / period, Math.sin(angle) / period];
  const phase = rng.next();
  for (let p = 0; p < n * n; p++)
    gray[p]! += contrast * Math.sin(2 * Math.PI * (cos * (p % n) + sin * Math.floor(p / n) + phase));
}

/** Adds `height` where `depth(x, y)` of 0 … 1 says so. */
function paint(gray: Float32Array, height: number, depth: (x: number, y: number) => number): void {
  const n = surfaceSide;
  for (let p = 0; p < n * n; p++) gray[p]! += height * depth(p % n, Math.floor(p / n));
}

const signed = (rng: Rng, size: number): number => (rng.next() < 0.6 ? -size : size);
const flawHeight = (rng: Rng, contrast: number): number =>
  signed(rng, contrast * between(rng, 0.8, 2.5) + between(rng, 5, 40));

/** Distance of a point from a piece of a line. */
function fromLine(x: number, y: number, ax: number, ay: number, bx: number, by: number): number {
  const [dx, dy] = [bx - ax, by - ay];
  const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1);
  const t = Math.min(1, Math.max(0, along));
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}

function addScratches(gray: Float32Array, rng: Rng, contrast: number, turn: number): void {
  const n = surfaceSide;
  const main = Math.PI * (rng.next() < 0.5 ? turn : rng.next());
  for (let i = 1 + rng.int(5); i > 0; i--) {
    const angle = main + between(rng, -0.15, 0.15);
    const half = between(rng, 10, 90);
    const [x, y] = [between(rng, 0, n), between(rng, 0, n)];
    const [dx, dy] = [half * Math.cos(angle), half * Math.sin(angle)];
    const width = between(rng, 0.5, 2);
    paint(gray, flawHeight(rng, contrast), (px, py) =>
      Math.exp(-((fromLine(px, py, x - dx, y - dy, x + dx, y + dy) / width) ** 2)),
    );
  }
}

function addSpots(gray: Float32Array, rng: Rng, contrast: number): void {
  const n = surfaceSide;
  const height = flawHeight(rng, contrast);
  for (let i = 1 + rng.int(12); i > 0; i--) {
    const [x, y] = [between(rng, 0, n), between(rng, 0, n)];
    const [rx, ry] = [2 ** between(rng, 1, 4.5), 2 ** between(rng, 1, 4.5)];
    const edge = between(rng, 1, 4);
    paint(gray, height * between(rng, 0.5, 1), (px, py) => {
      const r = Math.hypot((px - x) / rx, (py - y) / ry);
      return 1 / (1 + Math.exp((r - 1) * edge * 2));
    });
  }
}

/** One area with a ragged edge. */
function addPatch(gray: Float32Array, rng: Rng, contrast: number, turn: number): void {
  const field = new Float32Array(gray.length);
  const stretch = 4 ** between(rng, 0, 1.5);
  for (const octave of [0, 1, 2])
    addNoise(field, rng, { cell: 40 / 2 ** octave, stretch, turn, height: 0.6 ** octave });
  const level = between(rng, -0.2, 0.6);
  const steep = between(rng, 3, 20);
  const height = flawHeight(rng, contrast);
  for (let p = 0; p < gray.length; p++) gray[p]! += height / (1 + Math.exp(-steep * (field[p]! - level)));
}

/** Lines where smooth noise changes its sign: a net of cracks, or of grain borders. */
function addCracks(gray: Float32Array, rng: Rng, contrast: number): void {
  const field = new Float32Array(gray.length);
  const cell = between(rng, 10, 40);
  for (const octave of [0, 1])
    addNoise(field, rng, { cell: cell / 2 ** octave, stretch: 1, turn: 0, height: 0.6 ** octave });
  const width = between(rng, 0.02, 0.1);
  const height = flawHeight(rng, contrast);
  for (let p = 0; p < gray.length; p++) gray[p]! += height * Math.exp(-((field[p]! / width) ** 2));
}

/** A band across the picture. */
function addStripe(gray: Float32Array, rng: Rng, contrast: number, turn: number): void {
  const n = surfaceSide;
  const angle = Math.PI * turn;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  for (let i = 1 + rng.int(3); i > 0; i--) {
    const at = between(rng, -n / 2, n / 2);
    const half = 2 ** between(rng, 0, 5);
    const edge = between(rng, 0.3, 3);
    const height = flawHeight(rng, contrast);
    paint(gray, height, (x, y) => {
      const across = Math.abs((y - n / 2) * cos - (x - n / 2) * sin - at);
      return 1 / (1 + Math.exp((across - half) / edge));
    });
  }
}

function addPits(gray: Float32Array, rng: Rng, contrast: number): void {
  const n = surfaceSide;
  const height = flawHeight(rng, contrast);
  for (let i = 20 + rng.int(200); i > 0; i--) {
    const [x, y] = [rng.int(n), rng.int(n)];
    const side = 1 + rng.int(3);
    for (let dy = 0; dy < side; dy++)
      for (let dx = 0; dx < side; dx++)
        if (x + dx < n && y + dy < n) gray[(y + dy) * n + x + dx]! += height * between(rng, 0.3, 1);
  }
}

/** Light from one side, darker edges of the lens. */
function addLight(gray: Float32Array, rng: Rng): void {
  const n = surfaceSide;
  const angle = between(rng, 0, 2 * Math.PI);
  const slope = between(rng, 0, 0.5);
  const edges = between(rng, 0, 0.3);
  for (let p = 0; p < n * n; p++) {
    const [x, y] = [(p % n) / n - 0.5, Math.floor(p / n) / n - 0.5];
    gray[p]! *= 1 + slope * (x * Math.cos(angle) + y * Math.sin(angle)) - edges * 2 * (x * x + y * y);
  }
}
