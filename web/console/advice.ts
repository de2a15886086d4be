import type { Measures } from "./picture-quality.ts";
import type { Words } from "./words/index.ts";

/** A picture and whether the gallery without it recognized it. */
export interface Tried {
  readonly measures: Measures;
  readonly right: boolean;
}

/** What tells the pictures that were not recognized from those that were. */
export type Trait = "glare" | "dark" | "bright" | "blurred" | "sharp";

export type Advice =
  | { readonly kind: "none" }
  /** Every picture differs from every other: more of all. */
  | { readonly kind: "all"; readonly pictures: number }
  | { readonly kind: "like"; readonly pictures: number; readonly trait: Trait | null };

/** Standard deviations between the two groups from which the trait is named. */
const clear = 1;

/**
 * What further pictures would help, by leaving each picture out in turn: more of those that the others did not
 * explain, named by what they have in common.
 */
export function advise(tried: readonly Tried[]): Advice {
  const missed = tried.filter(({ right }) => !right);
  const hit = tried.filter(({ right }) => right);
  if (missed.length === 0) return { kind: "none" };
  if (hit.length <= missed.length) return { kind: "all", pictures: Math.max(3, 10 - tried.length) };
  const gap = (of: (measures: Measures) => number, scale: number): number => {
    const values = hit.map(({ measures }) => of(measures));
    const mean = average(values);
    const deviation = Math.sqrt(average(values.map((value) => (value - mean) ** 2)));
    return (average(missed.map(({ measures }) => of(measures))) - mean) / (deviation + scale);
  };
  // The scales are what the eye would just see, so that groups that are all alike give no trait by chance.
  const glare = gap(({ glare }) => glare, 0.01);
  const light = gap(({ light }) => light, 0.04);
  const sharpness = gap(({ sharpness }) => Math.log(sharpness + 1e-3), 0.2);
  const traits: [Trait, number][] = [
    ["glare", glare],
    [light < 0 ? "dark" : "bright", Math.abs(light)],
    [sharpness < 0 ? "blurred" : "sharp", Math.abs(sharpness)],
  ];
  const [trait, size] = traits.reduce((best, next) => (next[1] > best[1] ? next : best));
  return {
    kind: "like",
    pictures: Math.min(10, missed.length + 2),
    trait: size >= clear ? trait : null,
  };
}

/** As a sentence; `null` where there is nothing to say. */
export function adviceText(advice: Advice, t: Words): string | null {
  if (advice.kind === "none") return null;
  if (advice.kind === "all") return t.add.moreOfAll(advice.pictures);
  return t.add.moreLike(advice.pictures, advice.trait === null ? t.add.likeThis : t.add.what[advice.trait]);
}

const average = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
