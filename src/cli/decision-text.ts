import type { DecisionSpec } from "../fewshot/index.ts";
import { percent } from "./text.ts";

/** A decision in one line. */
export function decisionText({ views, transform, head, openSet, ambiguity }: DecisionSpec): string {
  const steps = [
    ...(transform.power === null ? [] : [`power ${transform.power}`]),
    ...(transform.normalize ? ["L2"] : []),
    ...(transform.center === "none" ? [] : [`centred by the ${transform.center} mean`]),
  ];
  const headText =
    head.kind === "prototype"
      ? `nearest prototype (${head.metric})`
      : `ridge prototypes (λ ${head.lambda}${head.projection ? `, ${head.projection.dim} random features` : ""})`;
  const viewText = [
    ...(views.support.length > 0 ? [`support views ${views.support.join(", ")}`] : []),
    ...(views.query.length > 0 ? [`frame views ${views.query.join(", ")}`] : []),
  ];
  return [
    steps.length > 0 ? steps.join(" + ") : "no transform",
    headText,
    `unknown by ${openSet.score} at ${percent(openSet.falseRejectRate, 0)} false rejects`,
    `ambiguous below a margin of ${ambiguity.margin}`,
    ...viewText,
  ].join("; ");
}
