import type { Static } from "typebox";
import type { Limit } from "../fewshot/index.ts";
import type { CheckedLimit, ClassLimit } from "./protocol-limits.ts";

/** How sure a limit is, without where it lies. */
export function certaintyReply(limit: Limit | null | undefined): Static<typeof CheckedLimit> | null {
  if (!limit) return null;
  const { source, pictures, rates, missing } = limit;
  return { source, pictures, rates, missing };
}

/** Where a class ends, as it is told. */
export function limitReply(limit: Limit | null | undefined): Static<typeof ClassLimit> | null {
  if (!limit) return null;
  const { threshold, source, pictures, rates, missing, frames = 0 } = limit;
  return { threshold, source, pictures, rates, missing, frames };
}
