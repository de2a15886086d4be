import { createHash } from "node:crypto";
import { stack } from "../core/index.ts";
import { applyTransform, cosineDistance, type DecisionPriors, type Limit } from "../fewshot/index.ts";
import type { GallerySnapshot, Sample } from "../store/store.ts";
import type { Judge } from "./judge/index.ts";
import { certaintyReply } from "./limit-reply.ts";
import type { CheckReply } from "./protocol-console.ts";
import { spaceOf } from "./tray/rules.ts";

/** A picture before it is enrolled. */
export interface Candidate {
  readonly bytes: Uint8Array;
  /** Raw, `[dim]`. */
  readonly embedding: Float32Array;
}

type Picture = Omit<CheckReply["pictures"][number], "origin" | "error">;
type Report = Pick<CheckReply, "nearest" | "leftOut" | "limit"> & { readonly pictures: readonly Picture[] };

/** What the candidates are compared with: the newest pictures of their own class, and of the nearest others. */
const mostOwn = 48;
const mostClasses = 8;
const mostOfClass = 16;
/** Cosine distance below which two pictures look the same. */
const sameBelow = 0.005;
/** Robust standard deviations beyond which a picture is an outlier among those of its class, and the fewest of them. */
const outlierAbove = 4;
const fewestForOutlier = 5;

/**
 * What is to be said about pictures before they become samples of `label`. Nothing is changed.
 *
 * @param candidates one at least.
 * @param limits of the gallery as it is.
 */
export async function checkCandidates(
  label: string,
  candidates: readonly Candidate[],
  { samples, decision }: Pick<GallerySnapshot, "samples" | "decision">,
  priors: DecisionPriors,
  limits: ReadonlyMap<string, Limit>,
  judge: Judge,
): Promise<Report> {
  const byHash = new Map(samples.map((sample) => [sample.contentHash, sample]));
  const hashes = candidates.map(({ bytes }) => createHash("sha256").update(bytes).digest("hex"));
  const twins = hashes.map((hash) => byHash.get(hash));
  const { own, others, all } = neighbours(label, candidates, samples, decision.transform);
  const space = spaceOf([...own, ...others], decision.transform);
  const places = candidates.map(({ embedding }) => space.place(embedding));
  const distances = toTheOthers([...own.map(({ embeddings }) => space.place(embeddings[0]!)), ...places]);
  const outliers = outliersOf(distances).slice(own.length);

  // One that is there already would answer for itself.
  const tried = candidates.flatMap(({ embedding }, index) => (twins[index] ? [] : [{ index, embedding }]));
  const known = [...own, ...others];
  const judged = await judge.pictures({
    support: {
      embeddings: stack([
        ...known.map(({ embeddings }) => embeddings[0]!),
        ...tried.map(({ embedding }) => embedding),
      ]),
      labels: [...known.map((sample) => sample.label), ...tried.map(() => label)],
    },
    decision: { ...decision, views: { ...decision.views, support: [] } },
    priors,
  });
  // One class alone would be right of itself.
  const answers = others.length > 0 ? judged.leftOut.slice(known.length) : [];
  const answerOf = new Map(tried.map(({ index }, i) => [index, answers[i] ?? null]));

  const nearest = new Map<string, { pictures: number; inside: number }>();
  const pictures = candidates.map((_, i): Picture => {
    const answer = answerOf.get(i) ?? null;
    if (answer?.other) {
      const count = nearest.get(answer.other.label) ?? { pictures: 0, inside: 0 };
      count.pictures++;
      if (answer.other.excess !== null && answer.other.excess <= 1) count.inside++;
      nearest.set(answer.other.label, count);
    }
    const twin = twins[i];
    const same = places.findIndex(
      (place, j) => j < i && (hashes[j] === hashes[i] || cosineDistance(place, places[i]!) < sameBelow),
    );
    const distance = distances[own.length + i]!;
    return {
      duplicateOf: twin ? { id: twin.id, label: twin.label } : null,
      sameAs: same < 0 ? null : same,
      outlier: outliers[i]!,
      distance: Number.isNaN(distance) ? null : distance,
      leftOut: answer && {
        kind: answer.kind,
        label: answer.nearest,
        right: answer.kind === "known" && answer.nearest === label,
      },
    };
  });
  const [most] = [...nearest].sort(([, a], [, b]) => b.inside - a.inside || b.pictures - a.pictures);
  const leftOut = pictures.flatMap((picture) => picture.leftOut ?? []);
  return {
    pictures,
    nearest: most ? { label: most[0], ...most[1] } : null,
    leftOut:
      leftOut.length > 0 ? { right: leftOut.filter((it) => it.right).length, of: leftOut.length } : null,
    limit: certaintyReply((all <= mostOwn ? judged.limits : limits).get(label)),
  };
}

/** The part of the gallery that can be confused with the candidates: the rest would only make it slow. */
function neighbours(
  label: string,
  candidates: readonly Candidate[],
  samples: readonly Sample[],
  { power, normalize }: GallerySnapshot["decision"]["transform"],
): {
  readonly own: readonly Sample[];
  readonly others: readonly Sample[];
  /** Of the class in the gallery, of which `own` are the newest. */
  readonly all: number;
} {
  const place = (raw: Float32Array): Float32Array =>
    applyTransform(raw, { power, normalize, center: "none" }, null);
  const classes = new Map<string, Sample[]>();
  for (const sample of samples) {
    const members = classes.get(sample.label);
    if (members) members.push(sample);
    else classes.set(sample.label, [sample]);
  }
  const center = meanOf(candidates.map(({ embedding }) => place(embedding)));
  const others = [...classes]
    .filter(([name]) => name !== label)
    .map(([, members]) => members.slice(-mostOfClass))
    .map((members) => ({
      members,
      distance: cosineDistance(center, meanOf(members.map(({ embeddings }) => place(embeddings[0]!)))),
    }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, mostClasses);
  const own = classes.get(label) ?? [];
  return {
    own: own.slice(-mostOwn),
    others: others.flatMap(({ members }) => members),
    all: own.length,
  };
}

function meanOf(vectors: readonly Float32Array[]): Float32Array {
  const mean = new Float32Array(vectors[0]!.length);
  for (const vector of vectors)
    for (let d = 0; d < mean.length; d++) mean[d] = mean[d]! + vector[d]! / vectors.length;
  return mean;
}

/** Cosine distance of each vector to the mean of all others; NaN for a single one. */
function toTheOthers(vectors: readonly Float32Array[]): number[] {
  if (vectors.length < 2) return vectors.map(() => Number.NaN);
  const mean = meanOf(vectors);
  return vectors.map((vector) =>
    cosineDistance(
      vector,
      mean.map((value, d) => value * vectors.length - vector[d]!),
    ),
  );
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/**
 * Median and median absolute deviation (Iglewicz and Hoaglin 1993), which an outlier does not move. The deviation is
 * taken as at least a tenth of the median: pictures that are all alike would make each other outliers.
 */
function outliersOf(distances: readonly number[]): boolean[] {
  if (distances.length < fewestForOutlier) return distances.map(() => false);
  const middle = median(distances);
  const deviation = Math.max(1.4826 * median(distances.map((d) => Math.abs(d - middle))), middle / 10, 1e-4);
  return distances.map((d) => (d - middle) / deviation > outlierAbove);
}
