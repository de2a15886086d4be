/** What a load counts: what went well, what was refused in the way a server may refuse, and what must not be. */
export interface Tally {
  readonly counts: Readonly<Record<string, number>>;
  /** Frames that were refused since the machine had no time for them. */
  readonly refused: number;
  readonly failed: number;
  /** The first of what failed, in words. */
  readonly failures: readonly string[];
  count(what: string): void;
  refuse(): void;
  fail(what: string): void;
  /** Milliseconds of an answer to a frame. */
  answered(ms: number): void;
  /** Those since the last call, sorted. */
  take(): readonly number[];
}

export function createTally(): Tally {
  const counts: Record<string, number> = {};
  const failures: string[] = [];
  let [refused, failed] = [0, 0];
  let times: number[] = [];
  return {
    counts,
    failures,
    get refused() {
      return refused;
    },
    get failed() {
      return failed;
    },
    count: (what) => {
      counts[what] = (counts[what] ?? 0) + 1;
    },
    refuse: () => {
      refused++;
    },
    fail: (what) => {
      failed++;
      if (failures.length < 20) failures.push(what);
    },
    answered: (ms) => {
      times.push(ms);
    },
    take: () => {
      const taken = times.sort((a, b) => a - b);
      times = [];
      return taken;
    },
  };
}
