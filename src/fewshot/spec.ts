import { ProtolineError } from "../core/index.ts";
import type { DecisionPriors, DecisionSpec } from "./types.ts";

/** Throws INVALID_ARGUMENT for numbers out of range and parts that do not fit together, DIMENSION_MISMATCH for the base mean. */
export function checkSpec(spec: DecisionSpec, priors: DecisionPriors, dim: number): void {
  const { transform, head, openSet, ambiguity } = spec;
  const check = (ok: boolean, expected: string, got: unknown, todo: string): void => {
    if (!ok) throw new ProtolineError("INVALID_ARGUMENT", { expected, got: String(got), todo });
  };
  const positive = (x: number): boolean => Number.isFinite(x) && x > 0;
  check(
    transform.power === null || positive(transform.power),
    "a power above 0, or null",
    transform.power,
    "Use 0.5, or null for none.",
  );
  check(
    transform.center !== "base" || priors.baseMean !== null,
    'a base mean for the centre "base"',
    "a bundle without one",
    'Use the centre "gallery" or "none" with this model.',
  );
  if (transform.center === "base" && priors.baseMean && priors.baseMean.length !== dim)
    throw new ProtolineError("DIMENSION_MISMATCH", {
      expected: `a base mean of ${dim} numbers`,
      got: `${priors.baseMean.length}`,
      todo: "Use the bundle of the encoder that made the embeddings.",
    });
  if (head.kind === "ridge")
    check(positive(head.lambda), "a ridge λ above 0", head.lambda, "Use a number between 0.1 and 1.");
  check(
    openSet.falseRejectRate > 0 && openSet.falseRejectRate < 1,
    "a false-reject rate between 0 and 1",
    openSet.falseRejectRate,
    "Use 0.05 for one known frame in twenty.",
  );
  check(
    ambiguity.margin >= 0 && ambiguity.margin < 1,
    "an ambiguity margin of at least 0 and below 1",
    ambiguity.margin,
    "Use 0.1, or 0 for never.",
  );
  check(positive(priors.limits.deviation), "a prior deviation above 0", priors.limits.deviation, "Use 0.34.");
}
