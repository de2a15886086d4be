import type { MapReply } from "../../src/server/protocol-console.ts";

/** A picture whose nearest class is another than its own: its name may be wrong. */
export const isSuspect = ({ label, leftOut }: MapReply["samples"][number]): boolean =>
  leftOut !== null && leftOut.kind !== "unknown" && leftOut.nearest !== label;
