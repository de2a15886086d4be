import { type Rate, rateOf } from "./rates.ts";

/** How far several runs over the same parts agree. */
export interface Agreement {
  /** Parts that all runs answer alike. */
  readonly alike: Rate;
  /** Agreement beyond chance (Fleiss 1971), 1 for complete; `null` where one answer is all there is. */
  readonly kappa: number | null;
  /** Holds the true one in about 95 of 100 cases, by drawing parts anew (percentile bootstrap). */
  readonly interval: readonly [low: number, high: number] | null;
}

/** Draws of parts for the interval. */
const draws = 1000;

/** @param parts answers of each part, one a run; as many runs for each. */
export function agreementOf(parts: readonly (readonly string[])[]): Agreement {
  const alike = parts.filter((answers) => new Set(answers).size === 1).length;
  const kappa = fleiss(parts);
  if (kappa === null) return { alike: rateOf(alike, parts.length), kappa, interval: null };
  let seed = 1;
  const next = (): number => {
    // Park and Miller 1988: the same interval for the same answers.
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const drawn: number[] = [];
  for (let i = 0; i < draws; i++) {
    const value = fleiss(parts.map(() => parts[Math.floor(next() * parts.length)]!));
    if (value !== null) drawn.push(value);
  }
  drawn.sort((a, b) => a - b);
  const at = (share: number): number => drawn[Math.min(drawn.length - 1, Math.floor(share * drawn.length))]!;
  return {
    alike: rateOf(alike, parts.length),
    kappa,
    interval: drawn.length > draws / 2 ? [at(0.025), at(0.975)] : null,
  };
}

/** (P̄ − P̄ₑ) / (1 − P̄ₑ) */
function fleiss(parts: readonly (readonly string[])[]): number | null {
  const runs = parts[0]?.length ?? 0;
  if (runs < 2) return null;
  const totals = new Map<string, number>();
  let observed = 0;
  for (const answers of parts) {
    const counts = new Map<string, number>();
    for (const answer of answers) counts.set(answer, (counts.get(answer) ?? 0) + 1);
    let pairs = 0;
    for (const [answer, n] of counts) {
      pairs += n * (n - 1);
      totals.set(answer, (totals.get(answer) ?? 0) + n);
    }
    observed += pairs / (runs * (runs - 1)) / parts.length;
  }
  let chance = 0;
  for (const n of totals.values()) chance += (n / (runs * parts.length)) ** 2;
  return 1 - chance < 1e-12 ? null : (observed - chance) / (1 - chance);
}
