import { isProtolineError, ProtolineError, quote } from "../../core/index.ts";
import type { EnrollResult } from "../../recognizer/types.ts";
import type { Enrollment, Kept, OutboxFolder, Refused } from "./folder.ts";

/**
 * Enrollments that were taken while the store was away. They are made in their order once it is back; while one waits,
 * those that come later wait behind it. What cannot be made then is kept with the reason.
 *
 * An enrollment is removed after the store has acknowledged it. A server that dies in between makes it again, which the
 * store skips: its class holds the pictures already.
 */
export interface Outbox {
  /** How many wait, those included that are being written. */
  readonly waiting: number;
  readonly refused: number;
  list(): { readonly waiting: readonly Kept[]; readonly refused: readonly Refused[] };
  /** Resolves with an id when the enrollment is on the disk. Throws STORE_UNAVAILABLE when it cannot be written. */
  put(enrollment: Enrollment, pictures: readonly Uint8Array[]): Promise<string>;
  /** Reads the folder, and begins to look whether the store is back. Throws INVALID_ARGUMENT for a folder that cannot be used. */
  start(): Promise<void>;
  /** Resolves when the enrollment that is being made has ended. */
  stop(): Promise<void>;
}

export interface OutboxOptions {
  readonly folder: OutboxFolder;
  /** The folder, for messages. */
  readonly shown: string;
  /** Rejects while the store is away; asked before pictures are read and embedded in vain. */
  readonly reach: (gallery: string) => Promise<unknown>;
  /** Enrolls into the store. */
  readonly enroll: (kept: Kept, pictures: readonly Uint8Array[]) => Promise<Pick<EnrollResult, "rejected">>;
  readonly onRefused: (refused: Refused | { readonly file: string; readonly error: Error }) => void;
}

/** How often is looked whether the store is back. */
const retryMs = 500;

export function createOutbox({ folder, shown, reach, enroll, onRefused }: OutboxOptions): Outbox {
  const waiting = new Map<number, Kept>();
  const refused: Refused[] = [];
  let last = 0;
  let writing = 0;
  /** One is written after the other, so that they stand in the order of their numbers. */
  let written: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let draining: Promise<void> | null = null;
  let stopped = false;

  const refuse = async (kept: Kept, code: string, message: string): Promise<void> => {
    const one = await folder.refuse(kept, code, message);
    waiting.delete(kept.seq);
    refused.push(one);
    onRefused(one);
  };

  /** Resolves with whether the next may be tried. */
  async function send(kept: Kept): Promise<boolean> {
    let rejected: EnrollResult["rejected"] = [];
    try {
      await reach(kept.gallery);
      const pictures = await folder.pictures(kept);
      if (pictures) ({ rejected } = await enroll(kept, pictures));
    } catch (error) {
      const coded = isProtolineError(error) ? error : null;
      // The store is away still, or is full, or there is too much to do: later.
      if (coded && coded.status > 500) return false;
      await refuse(kept, coded?.code ?? "INTERNAL", (error as Error).message);
      return true;
    }
    const [first] = rejected;
    if (first) {
      // Its other pictures are in.
      const all = rejected.map(({ origin, message }) => `${quote(origin)}: ${message}`);
      await refuse(kept, first.code, all.join(" "));
    } else {
      await folder.remove(kept);
      waiting.delete(kept.seq);
    }
    return true;
  }

  const drain = (): void => {
    draining ??= (async () => {
      for (const kept of waiting.values()) if (stopped || !(await send(kept))) return;
    })()
      // The folder itself cannot be written: what waits goes on waiting, and new enrollments are told.
      .catch(() => undefined)
      .finally(() => {
        draining = null;
      });
  };

  return {
    get waiting() {
      return waiting.size + writing;
    },
    get refused() {
      return refused.length;
    },
    list: () => ({ waiting: [...waiting.values()], refused: [...refused] }),
    async put(enrollment, pictures) {
      writing++;
      const kept = written.then(async () => {
        const one = await folder.keep(++last, enrollment, pictures);
        waiting.set(one.seq, one);
        return one.id;
      });
      written = kept.catch(() => undefined);
      try {
        return await kept;
      } catch (error) {
        throw new ProtolineError("STORE_UNAVAILABLE", {
          expected: `a store that answers, or an outbox at ${quote(shown, 200)} that can be written`,
          got: quote((error as Error).message, 200),
          todo: "Send it again later; make space for the outbox, or restore its rights.",
          cause: error,
        });
      } finally {
        writing--;
      }
    },
    async start() {
      try {
        for (const found of await folder.waiting())
          if ("kept" in found) waiting.set(found.kept.seq, found.kept);
          else {
            await folder.putAside(found.file);
            onRefused(found);
          }
        refused.push(...(await folder.refused()));
      } catch (error) {
        throw new ProtolineError("INVALID_ARGUMENT", {
          expected: "a folder that can be read and written as outbox",
          got: `${quote(shown, 200)}: ${(error as Error).message}`,
          todo: "Choose another folder, or restore its rights.",
          cause: error,
        });
      }
      last = Math.max(0, ...waiting.keys(), ...refused.map(({ seq }) => seq));
      timer = setInterval(drain, retryMs).unref();
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      await draining;
    },
  };
}
