import type { DecisionPriors, DecisionSpec } from "./types.ts";

/** The decision that a new gallery starts with where its bundle says nothing else. */
export const defaultDecision: DecisionSpec = {
  views: { support: [], query: [] },
  transform: { power: 0.5, normalize: true, center: "none" },
  head: { kind: "gaussian" },
  openSet: { falseRejectRate: 0.05 },
  ambiguity: { margin: 0.1 },
};

/** What is assumed where no bundle says better. */
export const defaultPriors: DecisionPriors = { baseMean: null, limits: { deviation: 0.34, oneShot: null } };
