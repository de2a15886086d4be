import { setPriority } from "node:os";

/** About a tenth of a core that other threads want too. */
const niceness = 10;

/** Lowers the priority of the thread that calls it, for good. Of a thread alone only Linux can: elsewhere nothing is done. */
export function giveWay(): void {
  if (process.platform === "linux") setPriority(niceness);
}
