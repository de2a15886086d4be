import type { Embeddings } from "../../core/index.ts";
import { type DecisionPriors, type DecisionSpec, fitDecision } from "../../fewshot/index.ts";

/** Labelled pictures to be left out in turn. Plain data: it goes to another thread. */
export interface Trial {
  /** Raw, `[n, dim]`; the views of one picture stand together. */
  readonly embeddings: Embeddings;
  /** `[n]` */
  readonly labels: readonly string[];
  /** `[n]`: number of the picture, in the order in which the pictures stand. */
  readonly groups: readonly number[];
  readonly decision: DecisionSpec;
  readonly priors: DecisionPriors;
}

/** What a picture is answered by a gallery without it. */
export interface LeftOut {
  readonly kind: "known" | "ambiguous" | "unknown";
  /** The class that it comes nearest to, whether the answer names it or not. */
  readonly nearest: string;
  /** In its own class, 0 … 1. */
  readonly confidence: number;
  /** Least distance above a class's threshold: above 0 the picture is unknown. */
  readonly excess: number;
  /** The nearest of the other classes, by how far the picture is above its threshold; `null` where there is none. */
  readonly other: { readonly label: string; readonly excess: number } | null;
}

/** JSON has no infinity: a threshold that nothing exceeds leaves the picture as far inside as can be. */
const finite = (value: number): number => Math.max(-1e6, Math.min(1e6, value));

/** By picture, in their order; `null` for the only picture of a class, which cannot be left out. */
export function leaveEachOut(trial: Trial): (LeftOut | null)[] {
  const { embeddings, labels, groups, decision, priors } = trial;
  const pictures = (groups.at(-1) ?? -1) + 1;
  const answers: (LeftOut | null)[] = Array.from({ length: pictures }, () => null);
  if (pictures === 0) return answers;
  const byLabel = new Map<string, number[]>();
  for (const [i, group] of groups.entries()) {
    if (i > 0 && groups[i - 1] === group) continue;
    const own = byLabel.get(labels[i]!);
    if (own) own.push(group);
    else byLabel.set(labels[i]!, [group]);
  }
  for (const { label, picture, decided } of fitDecision(
    { embeddings, labels, groups },
    decision,
    priors,
  ).leaveOneOut()) {
    const beyond = decided.candidates.map((candidate) => ({
      label: candidate.label,
      excess: finite(candidate.distance - candidate.threshold),
    }));
    const nearest = (of: typeof beyond) => of.reduce((best, one) => (one.excess < best.excess ? one : best));
    const others = beyond.filter((candidate) => candidate.label !== label);
    answers[byLabel.get(label)![picture]!] = {
      kind: decided.kind,
      nearest: decided.candidates[0]!.label,
      confidence: decided.candidates.find((candidate) => candidate.label === label)?.confidence ?? 0,
      excess: nearest(beyond).excess,
      other: others.length > 0 ? nearest(others) : null,
    };
  }
  return answers;
}
