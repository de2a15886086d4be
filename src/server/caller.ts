import type { ApiScope } from "../store/store.ts";

/** Who makes a request: the holder of a key, a person with a token, or a program on this machine where no keys are used. */
export interface Caller {
  readonly kind: "key" | "person" | "local";
  /** Id of the key, subject of the token, or `local`. */
  readonly id: string;
  /** Recorded with every change. */
  readonly name: string;
  readonly scopes: readonly ApiScope[];
  /** For messages: who it is and what he may do. */
  readonly holder: string;
}
