import { createRng, ProtolineError, quote, type Rng } from "../core/index.ts";
import { canSplit, deal, type GroupSizes, type Sides, splitGroups } from "./groups.ts";

/** A class of a data set as the sampler sees it. */
export interface EpisodeClass {
  readonly label: string;
  /** Rows of the class in the data set, for instance of an embedding matrix `[n, dim]`. */
  readonly rows: readonly number[];
  /** `[rows.length]`: photograph, part or serial number of each row. Absent: every row stands alone. */
  readonly groups?: readonly string[];
}

export interface EpisodeSpec {
  /** Known classes an episode, ≥ 1; the most, where `minWay` is given. */
  readonly way: number;
  /** Support rows a class, ≥ 1; the most, where `minShot` is given. */
  readonly shot: number;
  /** Query rows a class, known or unknown, ≥ 1. */
  readonly query: number;
  /** Unknown classes an episode, whose rows are queries alone. Default 0. */
  readonly open?: number;
  /** Each episode draws its way from `minWay` … `way`. Default `way`. */
  readonly minWay?: number;
  /** Each episode draws its shot from `minShot` … `shot`. Default `shot`. */
  readonly minShot?: number;
  /** Each class of an episode draws a shot of its own: an imbalanced support. Default false. */
  readonly imbalanced?: boolean;
}

/** Rows of the data set with their labels, class by class. */
export interface EpisodeSet {
  readonly rows: readonly number[];
  readonly labels: readonly string[];
}

export interface Episode {
  /** `way × shot` rows, fewer where either varies. */
  readonly supportSet: EpisodeSet;
  /** `way × query` rows of the same classes. */
  readonly querySet: EpisodeSet;
  /** `open × query` rows of classes that the support does not have; their labels are the true ones. */
  readonly unknownSet: EpisodeSet;
}

export interface EpisodePlan {
  /** Episode `i` ≥ 0. It depends on the seed and `i` alone, so that any one can be drawn again. */
  episode(i: number): Episode;
  readonly classes: readonly {
    readonly label: string;
    readonly rows: number;
    /** Different groups; as many as rows where there are none. */
    readonly groups: number;
    /** Whether support and query of this class never share a group. False: its groups are too few or too large for it. */
    readonly apart: boolean;
  }[];
}

/**
 * Classes from a label for each row, in the order of their first rows.
 *
 * @param labels `[n]`
 * @param groups `[n]`, see {@link EpisodeClass.groups}
 */
export function episodeClasses(labels: readonly string[], groups?: readonly string[]): EpisodeClass[] {
  if (groups && groups.length !== labels.length)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: `${labels.length} groups, one a row`,
      got: `${groups.length}`,
      todo: "Pass a group for every row, or none at all.",
    });
  const rows = new Map<string, number[]>();
  labels.forEach((label, i) => {
    const of = rows.get(label);
    if (of) of.push(i);
    else rows.set(label, [i]);
  });
  return [...rows].map(([label, rows]) => ({ label, rows, groups: groups && rows.map((i) => groups[i]!) }));
}

/**
 * Checks once that every class can take part in every episode, and returns the generator of episodes.
 *
 * Classes are drawn without replacement, then the rows of each. Where classes have groups, these are first dealt to the two
 * sides, at random and in proportion to what each side needs, so that support and query share no group: for all classes of
 * the episode together, since one photograph may show parts of several, or, where chance finds no such deal, class by class.
 * Where it cannot be done with the groups of a class, its rows are drawn without regard to groups and its `apart` is false.
 *
 * @param seed any integer.
 * @throws EPISODE_IMPOSSIBLE, naming the class that is too small and how many images it has; INVALID_ARGUMENT.
 */
export function planEpisodes(classes: readonly EpisodeClass[], spec: EpisodeSpec, seed: number): EpisodePlan {
  const prepared = prepare(classes, spec);
  const root = createRng(seed);
  return {
    episode: (i) => draw(root.fork(i), prepared, spec),
    classes: prepared.map(({ label, rows, groups, apart }) => ({
      label,
      rows: rows.length,
      groups: groups.length,
      apart,
    })),
  };
}

/**
 * A single episode from a generator of one's own; {@link planEpisodes} where many are drawn.
 *
 * @throws as {@link planEpisodes}
 */
export function sampleEpisode(rng: Rng, classes: readonly EpisodeClass[], spec: EpisodeSpec): Episode {
  return draw(rng, prepare(classes, spec), spec);
}

interface PreparedClass {
  readonly label: string;
  readonly rows: readonly number[];
  /** The rows of each group. */
  readonly groups: GroupSizes;
  /** Name of each group, or `null` where every row stands alone. */
  readonly names: readonly string[] | null;
  readonly apart: boolean;
}

function prepare(classes: readonly EpisodeClass[], spec: EpisodeSpec): PreparedClass[] {
  const { way, shot, query, open = 0, minWay = way, minShot = shot } = spec;
  for (const [name, value, least, most] of [
    ["way", way, 1],
    ["shot", shot, 1],
    ["query", query, 1],
    ["open", open, 0],
    ["minWay", minWay, 1, way],
    ["minShot", minShot, 1, shot],
  ] as const)
    if (!Number.isInteger(value) || value < least || (most !== undefined && value > most))
      throw new ProtolineError("INVALID_ARGUMENT", {
        expected: `${name} to be a whole number from ${least}${most === undefined ? "" : ` to ${most}`}`,
        got: `${value}`,
        todo: "Correct the episode.",
      });
  if (classes.length < way + open)
    throw new ProtolineError("EPISODE_IMPOSSIBLE", {
      expected: `at least ${way + open} classes (${way} known${open > 0 ? `, ${open} unknown` : ""})`,
      got: `${classes.length}`,
      todo: "Ask for fewer classes an episode, or add classes.",
    });
  const smallest = classes.reduce((a, b) => (b.rows.length < a.rows.length ? b : a));
  const small = classes.filter(({ rows }) => rows.length < shot + query).length;
  if (small > 0)
    throw new ProtolineError("EPISODE_IMPOSSIBLE", {
      expected: `at least ${shot + query} images in every class (${shot} support, ${query} query)`,
      got: `${smallest.rows.length} in class ${quote(smallest.label)}${small > 1 ? `, and too few in ${small - 1} more` : ""}`,
      todo: "Ask for fewer shots or queries, add images, or leave the class out.",
    });
  return classes.map(({ label, rows, groups }) => {
    const byGroup = new Map<string, number[]>();
    rows.forEach((row, i) => {
      const key = groups ? `group ${groups[i]}` : `row ${i}`;
      const of = byGroup.get(key);
      if (of) of.push(row);
      else byGroup.set(key, [row]);
    });
    const list = [...byGroup.values()];
    const names = groups ? [...byGroup.keys()] : null;
    return { label, rows, groups: list, names, apart: canSplit(list, shot, query) };
  });
}

function draw(
  rng: Rng,
  classes: readonly PreparedClass[],
  { way: mostWay, shot, query, open = 0, minWay = mostWay, minShot = shot, imbalanced = false }: EpisodeSpec,
): Episode {
  // Nothing is drawn for what does not vary, so that such episodes are the same as ever.
  const drawFrom = (least: number, most: number): number =>
    least === most ? most : least + rng.int(most - least + 1);
  const way = drawFrom(minWay, mostWay);
  const shotOfAll = imbalanced ? shot : drawFrom(minShot, shot);
  const support = { rows: [] as number[], labels: [] as string[] };
  const queries = { rows: [] as number[], labels: [] as string[] };
  const unknown = { rows: [] as number[], labels: [] as string[] };
  const pick = (from: readonly number[], k: number): number[] =>
    rng.sample(from.length, k).map((i) => from[i]!);
  const add = (set: { rows: number[]; labels: string[] }, label: string, rows: readonly number[]): void => {
    for (const row of rows) {
      set.rows.push(row);
      set.labels.push(label);
    }
  };
  const drawn = rng.sample(classes.length, way + open).map((c) => classes[c]!);
  const known = drawn.slice(0, way);
  const together = splitTogether(
    rng,
    known.filter(({ names, apart }) => names && apart),
    shot,
    query,
  );
  for (const one of known) {
    const { label, rows, groups, names, apart } = one;
    const shots = imbalanced ? drawFrom(minShot, shot) : shotOfAll;
    if (apart && names) {
      const sides = together.get(one) ?? splitGroups(rng, groups, shot, query);
      add(support, label, pick(sides.support, shots));
      add(queries, label, pick(sides.query, query));
    } else {
      const picked = pick(rows, shots + query);
      add(support, label, picked.slice(0, shots));
      add(queries, label, picked.slice(shots));
    }
  }
  for (const { label, rows } of drawn.slice(way)) add(unknown, label, pick(rows, query));
  return { supportSet: support, querySet: queries, unknownSet: unknown };
}

/** Deals the groups of several classes by name; empty where chance does not find a deal that serves every class. */
function splitTogether(
  rng: Rng,
  classes: readonly PreparedClass[],
  shot: number,
  query: number,
): ReadonlyMap<PreparedClass, Sides> {
  for (let attempt = 0; classes.length > 0 && attempt < 100; attempt++) {
    const toSupport = new Map<string, boolean>();
    const sides = classes.map(({ groups, names }) =>
      deal(groups, (g) => {
        const name = names![g]!;
        const side = toSupport.get(name) ?? rng.next() < shot / (shot + query);
        toSupport.set(name, side);
        return side;
      }),
    );
    if (sides.every((side) => side.support.length >= shot && side.query.length >= query))
      return new Map(classes.map((one, i) => [one, sides[i]!]));
  }
  return new Map();
}

/**
 * The group of a file from its name (the last part of its path): what `pattern` captures first, or all that it matches.
 * A name that does not match is a group of its own.
 *
 * `groupByFileName("10c/10c__IMG_4187_11.jpg", /__(.+)_\d+\.\w+$/)` is `IMG_4187`.
 */
export function groupByFileName(path: string, pattern: RegExp): string {
  const name = path.split(/[\\/]/).at(-1)!;
  const match = name.match(new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, "")));
  return match ? (match[1] ?? match[0]) : path;
}
