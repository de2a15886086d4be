import {
  aupr,
  auroc,
  ece,
  fpr95,
  meanAndInterval,
  oscr,
  type ReliabilityBin,
  reliability,
} from "../fewshot/index.ts";

/** The answer to one query of an episode. */
export interface Answer {
  readonly truth: string;
  /** The nearest class, whether or not the query is called unknown. */
  readonly label: string;
  readonly correct: boolean;
  readonly confidence: number;
  /** The distance to its nearest class. */
  readonly novelty: number;
  readonly unknown: boolean;
}

/** The answers of one episode. */
export interface Asked {
  readonly known: readonly Answer[];
  readonly unknown: readonly Answer[];
  /** Known queries whose group the support showed. */
  readonly shared: number;
}

/** What the answers of some episodes come to. Shares are fractions of 1. `Ci95`: 1.96·s/√episodes; `Spread`: s over episodes. */
export interface Measures {
  /** Closed-set accuracy, the mean over episodes: the nearest class is right, whether or not it is called unknown. */
  readonly mean: number;
  readonly ci95: number;
  /** Mean over episodes of the mean over the episode's classes of their accuracy: each counts alike, however many are asked. */
  readonly balanced: number;
  readonly balancedCi95: number;
  /** Mean over episodes of the lowest accuracy of a class. */
  readonly worst: number;
  /** Expected calibration error of the best candidate's confidence, 15 bins, over all queries. */
  readonly ece: number;
  /** The bins of `ece` that are not empty. */
  readonly reliability: readonly ReliabilityBin[];
  /** The accuracies that episodes came to, from the lowest up, and how many came to each. */
  readonly distribution: readonly { readonly accuracy: number; readonly episodes: number }[];
  /** Known queries called unknown, a mean over episodes; the decision's `openSet.falseRejectRate` is what was stated. */
  readonly falseReject: number;
  readonly falseRejectCi95: number;
  readonly falseRejectSpread: number;
  /** Unknown queries called unknown, a mean over episodes; these and the following with unknown classes alone. */
  readonly caught?: number;
  readonly caughtCi95?: number;
  readonly caughtSpread?: number;
  /**
   * Known against unknown by the distance to the nearest class, a mean over episodes. Thresholds have no part in it.
   */
  readonly auroc?: number;
  readonly aupr?: number;
  readonly fpr95?: number;
  readonly oscr?: number;
  readonly perClass: readonly {
    readonly label: string;
    readonly queries: number;
    /** `null` for a class that no episode asked about. */
    readonly accuracy: number | null;
  }[];
  /** Queries `[true class][answered class]`, classes as in `perClass`. */
  readonly confusion: readonly (readonly number[])[];
  /** Queries whose group was among the support's, of any class, over all queries: what `groups` left together. */
  readonly sharedGroups: number;
}

/** Collects the answers of episodes over classes of these labels. */
export function newTally(labels: readonly string[]) {
  const index = new Map(labels.map((label, c) => [label, c]));
  const confusion = labels.map(() => labels.map(() => 0));
  const answers: Answer[] = [];
  let sharedGroups = 0;
  // A number an episode.
  const closed = { mean: [] as number[], balanced: [] as number[], worst: [] as number[] };
  const falseReject: number[] = [];
  const open = {
    caught: [] as number[],
    auroc: [] as number[],
    aupr: [] as number[],
    fpr95: [] as number[],
    oscr: [] as number[],
  };
  return {
    add({ known, unknown, shared }: Asked): void {
      answers.push(...known);
      sharedGroups += shared;
      const recalls = recallsOf(known);
      closed.mean.push(share(known, ({ correct }) => correct));
      closed.balanced.push(recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length);
      closed.worst.push(Math.min(...recalls));
      falseReject.push(share(known, (one) => one.unknown));
      for (const { truth, label } of known) confusion[index.get(truth)!]![index.get(label)!]!++;
      if (unknown.length === 0) return;
      const inside = known.map(({ novelty }) => novelty);
      const outside = unknown.map(({ novelty }) => novelty);
      open.caught.push(share(unknown, (one) => one.unknown));
      open.auroc.push(auroc(inside, outside));
      open.aupr.push(aupr(inside, outside));
      open.fpr95.push(fpr95(inside, outside));
      open.oscr.push(oscr(known, outside));
    },
    measures(): Measures {
      const { mean, ci95 } = meanAndInterval(closed.mean);
      const balanced = meanAndInterval(closed.balanced);
      const rejects = withSpread(falseReject);
      const caught = withSpread(open.caught);
      return {
        mean,
        ci95,
        balanced: balanced.mean,
        balancedCi95: balanced.ci95,
        worst: meanAndInterval(closed.worst).mean,
        ece: ece(answers),
        reliability: reliability(answers),
        distribution: distributionOf(closed.mean),
        sharedGroups: sharedGroups / answers.length,
        falseReject: rejects.mean,
        falseRejectCi95: rejects.ci95,
        falseRejectSpread: rejects.spread,
        ...(open.caught.length > 0 && {
          caught: caught.mean,
          caughtCi95: caught.ci95,
          caughtSpread: caught.spread,
          auroc: meanAndInterval(open.auroc).mean,
          aupr: meanAndInterval(open.aupr).mean,
          fpr95: meanAndInterval(open.fpr95).mean,
          oscr: meanAndInterval(open.oscr).mean,
        }),
        perClass: labels.map((label, c) => {
          const asked = confusion[c]!.reduce((sum, count) => sum + count, 0);
          return { label, queries: asked, accuracy: asked > 0 ? confusion[c]![c]! / asked : null };
        }),
        confusion,
      };
    },
  };
}

const share = <T>(items: readonly T[], holds: (item: T) => boolean): number =>
  items.filter(holds).length / items.length;

/** The accuracy of each class that was asked about. */
function recallsOf(answers: readonly Answer[]): number[] {
  const byClass = new Map<string, Answer[]>();
  for (const answer of answers) {
    const of = byClass.get(answer.truth);
    if (of) of.push(answer);
    else byClass.set(answer.truth, [answer]);
  }
  return [...byClass.values()].map((of) => share(of, ({ correct }) => correct));
}

/** `spread`: the standard deviation with n − 1; NaN below two values. */
function withSpread(values: readonly number[]): ReturnType<typeof meanAndInterval> & { spread: number } {
  const all = meanAndInterval(values);
  return { ...all, spread: (all.ci95 * Math.sqrt(all.n)) / 1.96 };
}

function distributionOf(accuracies: readonly number[]): Measures["distribution"] {
  const counts = new Map<number, number>();
  for (const accuracy of accuracies) counts.set(accuracy, (counts.get(accuracy) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a - b).map(([accuracy, episodes]) => ({ accuracy, episodes }));
}
