import type { LineResult } from "./types.ts";

/** A result as a row of a table. */
export const columns = [
  "time",
  "id",
  "line",
  "station",
  "part",
  "batch",
  "shift",
  "origin",
  "kind",
  "label",
  "confidence",
  "distance",
  "threshold",
  "model",
  "revision",
  "ms",
  "modelHash",
  "gallery",
] as const;
export type Column = (typeof columns)[number];

/** The values of a result by column; `label` of a picture that was not answered is the code of its error. */
export function flat({
  answer,
  lineage,
  ...facts
}: LineResult): Readonly<Record<Column, string | number | null>> {
  const failed = answer.kind === "error";
  const { time, id, line, station = null, part = null, batch = null, shift = null, origin, ms } = facts;
  return {
    ...{ time, id, line, station, part, batch, shift, origin, kind: answer.kind },
    label: failed ? answer.code : answer.label,
    confidence: failed ? null : answer.confidence,
    distance: failed ? null : answer.distance,
    threshold: failed ? null : answer.threshold,
    ...lineage,
    ms,
  };
}
