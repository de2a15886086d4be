import { type Embeddings, row, type Steps, stack } from "../core/index.ts";
import {
  cosineDistance,
  type DecisionPriors,
  type FittedDecision,
  fittingDecision,
  type Support,
} from "../fewshot/index.ts";
import type { GallerySnapshot, Sample } from "../store/pure.ts";
import type { NearestSupport } from "./types.ts";

/** A revision ready to recognize with. Immutable: a recognition holds one from beginning to end. */
export interface Snapshot {
  readonly source: GallerySnapshot;
  /** `null` while the gallery has no class. */
  readonly decision: FittedDecision<string> | null;
  /** Samples by class, for the reasons of an answer. */
  readonly byLabel: ReadonlyMap<string, readonly Sample[]>;
  /** Transformed first views, filled as they are asked for. */
  readonly transformed: Map<string, Float32Array>;
}

/** Above this share of changed samples a refit costs less than rank-one updates. */
const refitShare = 0.25;

/**
 * Fits the decision of a revision; from `previous` by an update where the decision is the same and few samples
 * differ, so that enrolling into a large gallery costs what the new pictures cost. In steps, as frames are answered meanwhile.
 */
export function* buildSnapshot(
  source: GallerySnapshot,
  priors: DecisionPriors,
  previous?: Snapshot,
): Steps<Snapshot> {
  const { samples, dim, decision } = source;
  return {
    source,
    decision:
      samples.length === 0
        ? null
        : ((yield* updated(source, previous)) ??
          (yield* fittingDecision(toSupport(samples, dim), decision, priors))),
    byLabel: groupByLabel(samples),
    transformed: new Map(),
  };
}

/** `undefined` where it is to be fitted anew. */
function* updated(source: GallerySnapshot, previous?: Snapshot): Steps<FittedDecision<string> | undefined> {
  if (!previous?.decision) return undefined;
  const sameModel = previous.source.modelHash === source.modelHash;
  const { openSet } = source.decision;
  const before = { ...previous.source.decision, openSet };
  if (!sameModel || JSON.stringify(before) !== JSON.stringify(source.decision)) return undefined;
  // Another rate, or limits that the line moved: everything else stays.
  const sameOpenSet = JSON.stringify(previous.source.decision.openSet) === JSON.stringify(openSet);
  const decision = sameOpenSet ? previous.decision : previous.decision.withOpenSet(openSet);

  const key = ({ id, label }: Sample): string => `${id}\n${label}`;
  const held = new Set(previous.source.samples.map(key));
  const after = new Set(source.samples.map(key));
  const add = source.samples.filter((sample) => !held.has(key(sample)));
  const remove = previous.source.samples.filter((sample) => !after.has(key(sample)));
  if (add.length + remove.length > refitShare * source.samples.length) return undefined;
  if (add.length + remove.length === 0) return decision;
  return yield* decision.updating({
    ...(add.length > 0 && { add: toSupport(add, source.dim) }),
    ...(remove.length > 0 && { remove: toSupport(remove, source.dim) }),
  });
}

/** All views of all samples; the views of one picture share a number. */
export function toSupport(samples: readonly Sample[], dim: number): Support<string> {
  return {
    embeddings: stack(
      samples.flatMap(({ embeddings }) => embeddings),
      dim,
    ),
    labels: samples.flatMap(({ label, embeddings }) => embeddings.map(() => label)),
    pictures: samples.flatMap(({ embeddings }, picture) => embeddings.map(() => picture)),
  };
}

function groupByLabel(samples: readonly Sample[]): Map<string, Sample[]> {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const group = groups.get(sample.label);
    if (group) group.push(sample);
    else groups.set(sample.label, [sample]);
  }
  return groups;
}

/** The `topK` support pictures of the classes `labels` that are nearest to the frame's first view, nearest first. */
export function nearestSupport(
  snapshot: Snapshot,
  labels: readonly string[],
  views: Embeddings,
  topK: number,
): NearestSupport[] {
  const decision = snapshot.decision;
  if (!decision) return [];
  const query = decision.transform(row(views, 0));
  const kept = snapshot.transformed;
  return labels
    .flatMap((label) => snapshot.byLabel.get(label) ?? [])
    .map((sample) => {
      let vector = kept.get(sample.id);
      if (!vector) {
        vector = decision.transform(sample.embeddings[0]!);
        kept.set(sample.id, vector);
      }
      const { id, label, origin } = sample;
      return { id, label, origin, distance: cosineDistance(query, vector) };
    })
    .sort((a, b) => a.distance - b.distance)
    .slice(0, topK);
}
