import { AsyncLocalStorage } from "node:async_hooks";

/** Who stands behind the calls that are made now, for the audit log. */
export interface Actor {
  readonly who: string;
  /** Id of the key, subject of the token, `local` or `command line`. */
  readonly caller: string;
  /** Id of the HTTP request, or `null`. */
  readonly request: string | null;
}

const storage = new AsyncLocalStorage<Actor>();

/** Runs `work`, and all that it starts, on behalf of `actor`. */
export function actingAs<T>(actor: Actor, work: () => T): T {
  return storage.run(actor, work);
}

export const currentActor = (): Actor | undefined => storage.getStore();
