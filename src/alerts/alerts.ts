import type { Courier } from "./courier.ts";
import type { Alert, AlertKind } from "./types.ts";

export interface AlertsOptions {
  /** Where alerts go, all of them to each. */
  readonly couriers: readonly Courier[];
  /**
   * Milliseconds after an alert was raised in which the same kind of the same gallery is not raised again; what is
   * still wrong when they are over is raised then, by the next {@link Alerts.set}. Default an hour.
   */
  readonly quietMs?: number;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
  /** Milliseconds that only go forward, for `quietMs`: a clock that is set makes nobody quieter. Default `performance.now`. */
  readonly elapsed?: () => number;
}

export interface Alerts {
  /** How it stands: `problem` says what is wrong, `null` that nothing is. Raises, resolves, or leaves it as it is. */
  set(gallery: string, kind: AlertKind, problem: string | null): void;
  /** The gallery is gone: what is open is resolved. */
  forget(gallery: string): void;
  /** Raised and not resolved. */
  open(gallery: string): readonly Alert[];
  /** Tries what waits once more, and closes the sinks. */
  close(): Promise<void>;
}

const hourMs = 3_600_000;

/** Says each thing once when it begins and once when it ends, and not more often than every `quietMs`. */
export function createAlerts({
  couriers,
  quietMs = hourMs,
  now = Date.now,
  elapsed = () => performance.now(),
}: AlertsOptions): Alerts {
  /** `raisedAt` by `elapsed`. */
  const stands = new Map<string, { raisedAt: number; open: Alert | null }>();
  const keyOf = (gallery: string, kind: AlertKind): string => `${gallery} ${kind}`;
  const tell = (alert: Alert): void => {
    for (const courier of couriers) courier.send(alert);
  };
  const at = (ms: number): string => new Date(ms).toISOString();

  const set = (gallery: string, kind: AlertKind, problem: string | null): void => {
    const key = keyOf(gallery, kind);
    const { open, raisedAt } = stands.get(key) ?? { open: null, raisedAt: Number.NEGATIVE_INFINITY };
    const time = now();
    if (problem !== null && !open && elapsed() - raisedAt >= quietMs) {
      const id = `${gallery}-${kind}-${time}`;
      const alert: Alert = {
        ...{ id: `${id}-raised`, gallery, kind, state: "raised", text: problem },
        ...{ since: at(time), time: at(time) },
      };
      stands.set(key, { raisedAt: elapsed(), open: alert });
      tell(alert);
    }
    if (problem === null && open) {
      stands.set(key, { raisedAt, open: null });
      const id = open.id.replace(/raised$/, "resolved");
      tell({ ...open, id, state: "resolved", time: at(time) });
    }
  };

  return {
    set,
    forget(gallery) {
      for (const kind of ["drift", "quality"] as const) {
        set(gallery, kind, null);
        stands.delete(keyOf(gallery, kind));
      }
    },
    open: (gallery) => [...stands.values()].flatMap(({ open }) => (open?.gallery === gallery ? [open] : [])),
    close: async () => {
      await Promise.all(couriers.map((courier) => courier.close()));
    },
  };
}
