import { defaultDecision } from "./defaults.ts";

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether a decision was written by a Protoline that told unknown by a score of its own. */
export function isOlderDecision(stored: unknown): boolean {
  return isRecord(stored) && isRecord(stored.openSet) && "score" in stored.openSet;
}

/**
 * A decision as an older Protoline wrote it, in today's form; another value as it is, to be checked by the caller. The
 * head stays: `ridge` and the prototypes answer as they did. What has no successor of its own takes the nearest: the
 * metric `mahalanobis` the head `gaussian`, the centre `running` that of the gallery, random features none; and unknown is
 * decided by the head's own distance whatever the score was.
 */
export function currentDecision(stored: unknown): unknown {
  if (!isOlderDecision(stored) || !isRecord(stored)) return stored;
  const { transform, head, openSet } = stored;
  const { score: _, ...rest } = openSet as Record<string, unknown>;
  return {
    ...stored,
    openSet: rest,
    transform:
      isRecord(transform) && transform.center === "running" ? { ...transform, center: "gallery" } : transform,
    head: headOf(head),
  };
}

function headOf(head: unknown): unknown {
  if (!isRecord(head)) return head;
  if (head.metric === "mahalanobis") return defaultDecision.head;
  const { projection: _, ...rest } = head;
  return rest;
}

/** Priors as an older Protoline wrote them, in today's form; another value as it is. */
export function currentPriors(stored: unknown): unknown {
  if (!isRecord(stored) || !("temperature" in stored || "thresholds" in stored)) return stored;
  const { temperature: _, thresholds: __, ...rest } = stored;
  return rest;
}
