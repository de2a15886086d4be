import type { DecisionPriors, DecisionSpec } from "./types.ts";

/** The decision that a new gallery starts with where its bundle says nothing else. */
export const defaultDecision: DecisionSpec = {
  views: { support: [], query: [] },
  transform: { power: 0.5, normalize: true, center: "gallery" },
  head: { kind: "ridge", lambda: 0.1, projection: null },
  openSet: { score: "cosine", falseRejectRate: 0.05 },
  ambiguity: { margin: 0.1 },
};

/** What is assumed where no bundle says better: the temperature of the default decision, measured at one and two shots. */
export const defaultPriors: DecisionPriors = { baseMean: null, temperature: 0.08, thresholds: [] };
