import { Refused, type Sink } from "../line/index.ts";
import type { Alert } from "./types.ts";

export interface CourierOptions {
  /** Alerts that wait at a time; of more the oldest is given up. Default 100, ≥ 1. */
  readonly most?: number;
  /** Milliseconds before the second try; they double with each further one. Default 1000. */
  readonly firstPauseMs?: number;
  /** Default a minute. */
  readonly longestPauseMs?: number;
  /** What goes wrong, for the log. */
  readonly report: (event: string) => void;
}

/** Brings alerts to a sink, one after another, in their order. */
export interface Courier {
  send(alert: Alert): void;
  /** Alerts that wait, the one under way among them. */
  readonly waiting: number;
  /** Alerts that the sink refused, or that there was no room for. */
  readonly lost: number;
  /** Tries what waits once more, without a pause, and closes the sink. */
  close(): Promise<void>;
}

/**
 * A courier that does not give up: what fails is tried again after pauses that double. What the sink refuses for good, and
 * the oldest of what is too much, is lost and reported.
 */
export function createCourier(
  sink: Sink<Alert>,
  { most = 100, firstPauseMs = 1000, longestPauseMs = 60_000, report }: CourierOptions,
): Courier {
  const queue: Alert[] = [];
  let lost = 0;
  let running: Promise<void> | null = null;
  let closing = false;
  let wake = (): void => undefined;

  const lose = (alert: Alert, reason: string): void => {
    lost++;
    report(`${sink.name}: alert ${alert.id} is lost: ${reason}`);
  };
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  async function work(): Promise<void> {
    let wait = firstPauseMs;
    let last = false;
    for (let alert = queue[0]; alert; alert = queue[0]) {
      try {
        await sink.write(alert);
        wait = firstPauseMs;
      } catch (error) {
        const reason = (error as Error).message;
        if (error instanceof Refused) lose(alert, reason);
        else if (last) {
          for (const one of queue.splice(0)) lose(one, reason);
          return;
        } else {
          if (wait === firstPauseMs) report(`${sink.name}: ${reason}; trying again`);
          if (!closing) await pause(wait);
          last = closing;
          wait = Math.min(2 * wait, longestPauseMs);
          continue;
        }
      }
      // It may have been pushed out by newer ones meanwhile.
      if (queue[0] === alert) queue.shift();
    }
  }

  return {
    send(alert) {
      queue.push(alert);
      if (queue.length > most) lose(queue.shift()!, `${most} others wait`);
      running ??= work().finally(() => {
        running = null;
      });
    },
    get waiting() {
      return queue.length;
    },
    get lost() {
      return lost;
    },
    async close() {
      closing = true;
      wake();
      await running;
      await sink.close();
    },
  };
}
