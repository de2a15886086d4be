import { createRng, type Rng } from "../core/index.ts";
import { type EpisodeClass, type EpisodePlan, type EpisodeSpec, planEpisodes } from "../data/index.ts";

/** Keeps the draw of shares apart from the draw of pictures. */
const stream = 0x5a7e;

/**
 * Episodes whose query classes are not equally frequent (Veilleux et al. 2021, arXiv:2110.03690): the shares are drawn from
 * a Dirichlet distribution with α = 2, and `way × query` queries are dealt by them. A class may have none. No class has more
 * than the smallest of the data set could give beside its support.
 *
 * @throws as {@link planEpisodes}
 */
export function planUnbalanced(
  classes: readonly EpisodeClass[],
  spec: EpisodeSpec,
  seed: number,
): EpisodePlan {
  const { way, shot, query } = spec;
  const total = way * query;
  const smallest = Math.min(...classes.map(({ rows }) => rows.length));
  // As many of each class as any share may ask for, of which the first are taken; at least what is balanced must exist.
  const most = Math.max(query, Math.min(total, smallest - shot));
  const plan = planEpisodes(classes, { ...spec, query: most }, seed);
  const root = createRng(seed).fork(stream);
  return {
    classes: plan.classes,
    episode: (i) => {
      const episode = plan.episode(i);
      const { rows, labels } = episode.querySet;
      const counts = unbalancedCounts(root.fork(i), way, total, most);
      const kept = rows.flatMap((_, at) => (at % most < counts[Math.floor(at / most)]! ? [at] : []));
      return {
        ...episode,
        querySet: { rows: kept.map((at) => rows[at]!), labels: kept.map((at) => labels[at]!) },
      };
    },
  };
}

/** Whole numbers `[way]`, each at most `most`, that sum to `total` ≤ way·most, by shares from Dirichlet(2, …, 2). */
export function unbalancedCounts(rng: Rng, way: number, total: number, most: number): number[] {
  // A gamma variable with shape 2 is the sum of two exponential ones.
  const weights = Array.from({ length: way }, () => -Math.log((1 - rng.next()) * (1 - rng.next())));
  const sum = weights.reduce((a, b) => a + b);
  const wanted = weights.map((weight) => (total * weight) / sum);
  const counts = wanted.map((w) => Math.min(most, Math.floor(w)));
  for (let left = total - counts.reduce((a, b) => a + b); left > 0; left--) {
    // To the class that is furthest below its share and has room.
    const open = counts.flatMap((count, k) => (count < most ? [k] : []));
    const next = open.reduce((a, b) => (wanted[b]! - counts[b]! > wanted[a]! - counts[a]! ? b : a));
    counts[next]!++;
  }
  return counts;
}
