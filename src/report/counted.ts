import type { CountedRate } from "../monitor/index.ts";

export const percentOf = (share: number): number => 100 * share;
export const rateOf = ({ hits, of }: CountedRate): number => (of === 0 ? 0 : hits / of);
/** As a count of a count. */
export const shareText = ({ hits, of }: CountedRate): string =>
  of === 0 ? "–" : `${hits}\u00a0/\u00a0${of}`;
export const intervalText = ({ interval: [low, high] }: CountedRate): string =>
  `${percentOf(low).toFixed(0)}–\u2060${percentOf(high).toFixed(0)}\u00a0%`;
/** As a whole percentage. */
export const percentText = (rate: CountedRate): string => `${percentOf(rateOf(rate)).toFixed(0)}\u00a0%`;
