import type { SingleBar } from "cli-progress";

/** Progress of long work. On the error output alone, so that it never mixes with answers. */
export interface Progress {
  /** `done` of the total, with a word on what is at hand; `total` where it became known only now. */
  update(done: number, detail?: string, total?: number): void;
  stop(): void;
}

let bar: SingleBar | null = null;

/** A bar where the error output is a terminal, nothing elsewhere. One at a time. */
export async function startProgress(label: string, total: number, visible: boolean): Promise<Progress> {
  if (!visible || total === 0) return { update: () => {}, stop: () => {} };
  const { default: cliProgress } = await import("cli-progress");
  stopProgress();
  bar = new cliProgress.SingleBar({
    stream: process.stderr,
    format: `${label} {bar} {value}/{total} {eta_formatted} {detail}`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 24,
    hideCursor: true,
    clearOnComplete: true,
  });
  bar.start(total, 0, { detail: "" });
  return {
    update: (done, detail = "", newTotal) => {
      if (newTotal !== undefined) bar?.setTotal(newTotal);
      bar?.update(done, { detail });
    },
    stop: stopProgress,
  };
}

/** Takes the bar off the terminal and gives the cursor back; also when a command ends early. */
export function stopProgress(): void {
  bar?.stop();
  bar = null;
}
