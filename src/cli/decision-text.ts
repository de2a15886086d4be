import type { DecisionSpec, HeadSpec } from "../fewshot/index.ts";

/** A decision in one line. */
export function decisionText({ views, transform, head, openSet, ambiguity }: DecisionSpec): string {
  const steps = [
    ...(transform.power === null ? [] : [`power ${transform.power}`]),
    ...(transform.normalize ? ["L2"] : []),
    ...(transform.center === "none" ? [] : [`centred by the ${transform.center} mean`]),
  ];
  const viewText = [
    ...(views.support.length > 0 ? [`support views ${views.support.join(", ")}`] : []),
    ...(views.query.length > 0 ? [`frame views ${views.query.join(", ")}`] : []),
  ];
  return [
    steps.length > 0 ? steps.join(" + ") : "no transform",
    headText(head),
    `unknown at ${Number((100 * openSet.falseRejectRate).toFixed(2))} % false rejects`,
    `ambiguous below a margin of ${ambiguity.margin}`,
    ...(openSet.learned ? [`limits of ${openSet.learned.length} classes learned from the line`] : []),
    ...viewText,
  ].join("; ");
}

export function headText(head: HeadSpec): string {
  switch (head.kind) {
    case "gaussian":
      return "predictive Gaussian";
    case "prototype":
      return `nearest prototype (${head.metric})`;
    case "ridge":
      return `ridge prototypes (λ ${head.lambda})`;
  }
}
