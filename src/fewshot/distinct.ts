import { squaredEuclidean } from "./distances.ts";
import { dot } from "./linalg.ts";
import type { ClassRows } from "./samples.ts";

/** A class as it is fitted: near-duplicates are seen as one picture. */
export interface DistinctClass<Label> {
  readonly of: ClassRows<Label>;
  /** After power and L2, each `[dim]`; a part of the class's own, in their order. */
  readonly rows: readonly Float32Array[];
  /** What is left out together: a picture, near-duplicates of each other, or a group. */
  readonly units: readonly Unit[];
}

export interface Unit {
  /** Places in {@link DistinctClass.rows}. */
  readonly rows: readonly number[];
  /** Its pictures, and where their rows (those of the picture they duplicate) lie in `rows` of this unit. */
  readonly pictures: readonly { readonly picture: number; readonly at: readonly number[] }[];
}

/**
 * Two pictures of a class are near-duplicates when their squared distance is below this share of what two of its pictures
 * have on average: one picture in two files, or of nearly the same quality. Of 130 pictures of a class of X-SDD, coins, materials
 * or packaged goods no two independent ones come as near; the nearest are at 2 % or more.
 */
const duplicateShare = 0.005;

const known = new WeakMap<ClassRows<unknown>, DistinctClass<unknown>>();

/** Kept for as long as the class. */
export function distinct<Label>(members: ClassRows<Label>): DistinctClass<Label> {
  const made = known.get(members) as DistinctClass<Label> | undefined;
  if (made) return made;
  const { rows, pictures } = members;
  const first = pictures.map((p) => rows[p.rows[0]!]!);
  const twin = firstOfTwins(first);
  const used: Float32Array[] = [];
  const placesOf = new Map<number, readonly number[]>();
  const units = new Map<string, { rows: number[]; pictures: { picture: number; at: number[] }[] }>();
  pictures.forEach(({ group }, picture) => {
    const original = twin[picture]!;
    let places = placesOf.get(original);
    if (!places) {
      places = pictures[original]!.rows.map((r) => used.push(rows[r]!) - 1);
      placesOf.set(original, places);
    }
    // A near-duplicate goes with the picture that it repeats, whatever its group.
    const key = pictures[original]!.group ?? group;
    const name = key === null ? `picture ${original}` : `group ${key}`;
    let unit = units.get(name);
    if (!unit) {
      unit = { rows: [], pictures: [] };
      units.set(name, unit);
    }
    const { rows: mine } = unit;
    const at = places.map((place) => {
      const there = mine.indexOf(place);
      return there >= 0 ? there : mine.push(place) - 1;
    });
    unit.pictures.push({ picture, at });
  });
  const result: DistinctClass<Label> = { of: members, rows: used, units: [...units.values()] };
  known.set(members, result);
  return result;
}

/** For each row the number of the first one that it is a near-duplicate of, or its own. */
function firstOfTwins(rows: readonly Float32Array[]): number[] {
  const twin = rows.map((_, i) => i);
  const n = rows.length;
  if (n < 2) return twin;
  // The mean squared distance of two of n rows is 2/(n − 1) times their scatter.
  const dim = rows[0]!.length;
  const mean = new Float64Array(dim);
  for (const x of rows) for (let i = 0; i < dim; i++) mean[i]! += x[i]! / n;
  let scatter = 0;
  for (const x of rows) scatter += squaredEuclidean(x, mean);
  const near = (duplicateShare * 2 * scatter) / (n - 1);
  // Near rows are near along any one direction: sorted along one, few have to be compared.
  const along = Float32Array.from(rows[0]!, (x, i) => x - mean[i]!);
  const length = Math.sqrt(dot(along, along));
  const place = rows.map((x) => (length > 0 ? dot(x, along) / length : 0));
  const order = twin.toSorted((a, b) => place[a]! - place[b]! || a - b);
  const root = (i: number): number => (twin[i] === i ? i : root(twin[i]!));
  const reach = Math.sqrt(near);
  for (let a = 0; a < n; a++)
    for (let b = a + 1; b < n && place[order[b]!]! - place[order[a]!]! <= reach; b++) {
      const [i, j] = [root(order[a]!), root(order[b]!)];
      if (i === j || squaredEuclidean(rows[order[a]!]!, rows[order[b]!]!) > near) continue;
      twin[Math.max(i, j)] = Math.min(i, j);
    }
  return twin.map((_, i) => root(i));
}
