import type { DriftReport } from "./drift.ts";

/** What a report with an alarm means, and what to do, for a reader; `null` for one without. */
export function driftText({ findings }: Pick<DriftReport, "findings">): string | null {
  const alarms = findings.filter(({ alarm }) => alarm);
  if (alarms.length === 0) return null;
  const moved = alarms.filter(({ test }) => test === "classMean");
  const watched = findings.filter(({ test }) => test === "classMean").length;
  const unknown = alarms.find(({ test }) => test === "unknownRate");
  const distance = alarms.find(({ test }) => test === "distance");
  const whole = alarms.find(({ test }) => test === "embeddings");
  const points = (share: number): string => `${(100 * Math.abs(share)).toFixed(0)} points`;
  const facts = [
    ...(unknown
      ? [`${points(unknown.statistic)} ${unknown.statistic > 0 ? "more" : "fewer"} frames are unknown`]
      : []),
    ...(distance ? [`distances to the nearest class differ by ${points(distance.statistic)}`] : []),
    ...moved
      .slice(0, 3)
      .map(({ label, statistic }) => `"${label}" has moved by ${statistic.toFixed(1)} of its spread`),
    ...(moved.length > 3 ? [`${moved.length - 3} more ${moved.length === 4 ? "class" : "classes"} too`] : []),
    ...(whole ? ["the pictures as a whole are others than before"] : []),
  ];
  return `Against the reference ${facts.join(", ")}: ${adviceOf()}`;

  function adviceOf(): string {
    if (unknown && unknown.statistic > 0 && moved.length === 0)
      return "look at the tray for a part that is new.";
    if (watched > 1 && moved.length === 1) return `look at the parts of "${moved[0]!.label}" first.`;
    if (moved.length > 1 || distance) return "look at light, lens and camera first.";
    return "look whether the mix of parts has changed, and else at light, lens and camera.";
  }
}
