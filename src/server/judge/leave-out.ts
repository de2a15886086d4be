import { type Candidate, fitDecision, type Limit } from "../../fewshot/index.ts";
import type { Trial } from "../../recognizer/index.ts";
import { excessOf } from "../excess.ts";

/** A gallery whose pictures are to be left out in turn. Plain data: it goes to another thread. */
export type GalleryTrial = Omit<Trial, "heldOut">;

/** What a picture is answered by a gallery without it. */
export interface LeftOut {
  readonly kind: "known" | "ambiguous" | "unknown";
  /** The class that it comes nearest to, whether the answer names it or not. */
  readonly nearest: string;
  /** In its own class, 0 … 1. */
  readonly confidence: number;
  /** See {@link excessOf}, of the nearest class: above 1 the picture is unknown. */
  readonly excess: number | null;
  /** The nearest of the other classes, and the same of it; `null` where there is none. */
  readonly other: { readonly label: string; readonly excess: number | null } | null;
}

export interface LeftOutGallery {
  /** By picture, in their order; `null` for the only picture of a class, which cannot be left out. */
  readonly leftOut: readonly (LeftOut | null)[];
  /** Where each class ends. */
  readonly limits: ReadonlyMap<string, Limit>;
}

export function leaveEachOut({ support, decision, priors }: GalleryTrial): LeftOutGallery {
  const { labels, pictures: numbers = labels.map((_, i) => i) } = support;
  if (labels.length === 0) return { leftOut: [], limits: new Map() };
  /** Of each class its pictures, in their order: by these the fit counts them. */
  const byLabel = new Map<string, Set<number>>();
  for (const [i, label] of labels.entries()) {
    const own = byLabel.get(label);
    if (own) own.add(numbers[i]!);
    else byLabel.set(label, new Set([numbers[i]!]));
  }
  const places = new Map([...byLabel].map(([label, own]) => [label, [...own]]));
  const order = new Map([...new Set(numbers)].map((number, i) => [number, i]));
  const leftOut: (LeftOut | null)[] = Array.from(order, () => null);
  const fitted = fitDecision(support, decision, priors);
  for (const { label, picture, decided } of fitted.leaveOneOut()) {
    const { kind, candidates, limit } = decided;
    const others = candidates.filter((candidate) => candidate.label !== label);
    const other = others.length > 0 ? others.reduce(nearer) : null;
    leftOut[order.get(places.get(label)![picture]!)!] = {
      kind,
      nearest: candidates[0]!.label,
      confidence: candidates.find((candidate) => candidate.label === label)?.confidence ?? 0,
      excess: excessOf(limit),
      other: other && { label: other.label, excess: excessOf(other) },
    };
  }
  return { leftOut, limits: fitted.limits };
}

const nearer = (a: Candidate<string>, b: Candidate<string>): Candidate<string> =>
  b.distance < a.distance ? b : a;
