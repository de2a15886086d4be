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

/** Episodes whose known classes have given numbers of support rows: a line where one class is old and another new. */
export interface SizedEpisodeSpec {
  /**
   * Support rows of each known class, one number a class, ≥ 1 each. Every size, the largest first, falls to a class drawn
   * among those that have so many rows beside the queries and are not taken yet.
   */
  readonly sizes: readonly number[];
  /** Query rows a class, known or unknown, ≥ 1. */
  readonly query: number;
  /** Unknown classes an episode, drawn from the classes that are left. Default 0. */
  readonly open?: number;
}

/** Rows of the data set with their labels, class by class. */
export interface EpisodeSet {
  readonly rows: readonly number[];
  readonly labels: readonly string[];
}

export interface Episode {
  /** `way × shot` rows, fewer where either varies; the sum of `sizes`. */
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
    /**
     * Whether support and query of this class never share a group. False: its groups are too few or too large for it, or for
     * one of the sizes that it has rows for.
     */
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
export function planEpisodes(
  classes: readonly EpisodeClass[],
  spec: EpisodeSpec | SizedEpisodeSpec,
  seed: number,
): EpisodePlan {
  const prepared = prepare(classes, spec);
  const root = createRng(seed);
  return {
    episode: (i) => draw(root.fork(i), prepared, spec),
    classes: prepared.map(({ label, rows, groups, apart }) => ({
      label,
      rows: rows.length,
      groups: groups.length,
      apart: [...apart.values()].every((kept) => kept),
    })),
  };
}

/**
 * A single episode from a generator of one's own; {@link planEpisodes} where many are drawn.
 *
 * @throws as {@link planEpisodes}
 */
export function sampleEpisode(
  rng: Rng,
  classes: readonly EpisodeClass[],
  spec: EpisodeSpec | SizedEpisodeSpec,
): Episode {
  return draw(rng, prepare(classes, spec), spec);
}

interface PreparedClass {
  readonly label: string;
  readonly rows: readonly number[];
  /** The rows of each group. */
  readonly groups: GroupSizes;
  /** Name of each group, or `null` where every row stands alone. */
  readonly names: readonly string[] | null;
  /** By support rows, of those that it has rows for: whether its groups can be kept on one side. */
  readonly apart: ReadonlyMap<number, boolean>;
}

/** A class of an episode, and the support rows that its groups are dealt for. */
interface Known {
  readonly one: PreparedClass;
  readonly shot: number;
}

function check(name: string, value: number, least: number, most?: number): void {
  if (!Number.isInteger(value) || value < least || (most !== undefined && value > most))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: `${name} to be a whole number from ${least}${most === undefined ? "" : ` to ${most}`}`,
      got: `${value}`,
      todo: "Correct the episode.",
    });
}

function checkSpec(spec: EpisodeSpec | SizedEpisodeSpec): void {
  check("query", spec.query, 1);
  check("open", spec.open ?? 0, 0);
  if ("sizes" in spec) {
    if (spec.sizes.length === 0)
      throw new ProtolineError("INVALID_ARGUMENT", {
        expected: "at least one size",
        got: "none",
        todo: "Correct the episode.",
      });
    for (const size of spec.sizes) check("every size", size, 1);
    return;
  }
  const { way, shot, minWay = way, minShot = shot } = spec;
  check("way", way, 1);
  check("shot", shot, 1);
  check("minWay", minWay, 1, way);
  check("minShot", minShot, 1, shot);
}

function prepare(classes: readonly EpisodeClass[], spec: EpisodeSpec | SizedEpisodeSpec): PreparedClass[] {
  checkSpec(spec);
  const { query, open = 0 } = spec;
  const sizes = "sizes" in spec ? [...spec.sizes].sort((a, b) => b - a) : [spec.shot];
  const way = "sizes" in spec ? sizes.length : spec.way;
  if (classes.length < way + open)
    throw new ProtolineError("EPISODE_IMPOSSIBLE", {
      expected: `at least ${way + open} classes (${way} known${open > 0 ? `, ${open} unknown` : ""})`,
      got: `${classes.length}`,
      todo: "Ask for fewer classes an episode, or add classes.",
    });
  const least = sizes.at(-1)!;
  const smallest = classes.reduce((a, b) => (b.rows.length < a.rows.length ? b : a));
  const small = classes.filter(({ rows }) => rows.length < least + query).length;
  if (small > 0)
    throw new ProtolineError("EPISODE_IMPOSSIBLE", {
      expected: `at least ${least + query} images in every class (${least} support, ${query} query)`,
      got: `${smallest.rows.length} in class ${quote(smallest.label)}${small > 1 ? `, and too few in ${small - 1} more` : ""}`,
      todo: "Ask for fewer shots or queries, add images, or leave the class out.",
    });
  checkSizes(classes, sizes, query);
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
    const fitting = [...new Set(sizes)].filter((size) => rows.length >= size + query);
    const apart = new Map(fitting.map((size) => [size, canSplit(list, size, query)]));
    return { label, rows, groups: list, names, apart };
  });
}

/** That the k-th largest size has k classes to choose from: then one is left for it whichever the others take. */
function checkSizes(classes: readonly EpisodeClass[], sizes: readonly number[], query: number): void {
  sizes.forEach((size, k) => {
    const able = classes.filter(({ rows }) => rows.length >= size + query).length;
    if (able <= k)
      throw new ProtolineError("EPISODE_IMPOSSIBLE", {
        expected: `at least ${k + 1} ${k === 0 ? "class" : "classes"} of ${size + query} images or more (${size} support, ${query} query)`,
        got: `${able}`,
        todo: "Ask for smaller sizes or fewer queries, or add images.",
      });
  });
}

function draw(rng: Rng, classes: readonly PreparedClass[], spec: EpisodeSpec | SizedEpisodeSpec): Episode {
  const { query } = spec;
  const {
    known,
    unknown: strange,
    shotOf,
  } = "sizes" in spec ? drawSized(rng, classes, spec) : drawEqual(rng, classes, spec);
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
  const apart = ({ one: { names, apart }, shot }: Known): boolean => names !== null && apart.get(shot)!;
  const together = splitTogether(rng, known.filter(apart), query);
  for (const each of known) {
    const { one, shot } = each;
    const shots = shotOf(shot);
    if (apart(each)) {
      const sides = together.get(one) ?? splitGroups(rng, one.groups, shot, query);
      add(support, one.label, pick(sides.support, shots));
      add(queries, one.label, pick(sides.query, query));
    } else {
      const picked = pick(one.rows, shots + query);
      add(support, one.label, picked.slice(0, shots));
      add(queries, one.label, picked.slice(shots));
    }
  }
  for (const { label, rows } of strange) add(unknown, label, pick(rows, query));
  return { supportSet: support, querySet: queries, unknownSet: unknown };
}

/** The classes of an episode. */
interface Drawn {
  readonly known: readonly Known[];
  readonly unknown: readonly PreparedClass[];
  /** Support rows of a class whose groups are dealt for `shot`; drawn class by class. */
  shotOf(shot: number): number;
}

function drawEqual(
  rng: Rng,
  classes: readonly PreparedClass[],
  { way: mostWay, shot, open = 0, minWay = mostWay, minShot = shot, imbalanced = false }: EpisodeSpec,
): Drawn {
  // Nothing is drawn for what does not vary, so that such episodes are the same as ever.
  const drawFrom = (least: number, most: number): number =>
    least === most ? most : least + rng.int(most - least + 1);
  const way = drawFrom(minWay, mostWay);
  const shotOfAll = imbalanced ? shot : drawFrom(minShot, shot);
  const drawn = rng.sample(classes.length, way + open).map((c) => classes[c]!);
  return {
    known: drawn.slice(0, way).map((one) => ({ one, shot })),
    unknown: drawn.slice(way),
    shotOf: () => (imbalanced ? drawFrom(minShot, shot) : shotOfAll),
  };
}

function drawSized(
  rng: Rng,
  classes: readonly PreparedClass[],
  { sizes, query, open = 0 }: SizedEpisodeSpec,
): Drawn {
  const taken = new Set<PreparedClass>();
  const left = (rows: number): PreparedClass[] =>
    classes.filter((one) => !taken.has(one) && one.rows.length >= rows);
  const known = [...sizes]
    .sort((a, b) => b - a)
    .map((shot): Known => {
      const able = left(shot + query);
      const one = able[rng.int(able.length)]!;
      taken.add(one);
      return { one, shot };
    });
  const rest = left(query);
  return { known, unknown: rng.sample(rest.length, open).map((c) => rest[c]!), shotOf: (shot) => shot };
}

/** Deals the groups of several classes by name; empty where chance does not find a deal that serves every class. */
function splitTogether(
  rng: Rng,
  classes: readonly Known[],
  query: number,
): ReadonlyMap<PreparedClass, Sides> {
  for (let attempt = 0; classes.length > 0 && attempt < 100; attempt++) {
    const toSupport = new Map<string, boolean>();
    const sides = classes.map(({ one: { groups, names }, shot }) =>
      deal(groups, (g) => {
        const name = names![g]!;
        const side = toSupport.get(name) ?? rng.next() < shot / (shot + query);
        toSupport.set(name, side);
        return side;
      }),
    );
    if (sides.every((side, i) => side.support.length >= classes[i]!.shot && side.query.length >= query))
      return new Map(classes.map(({ one }, i) => [one, sides[i]!]));
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
