import { type ErrorCode, isProtolineError, ProtolineError, quote } from "../../core/index.ts";

interface Meaning {
  readonly code: ErrorCode;
  readonly expected: string;
  readonly todo: string;
}

const unavailable: Meaning = {
  code: "STORE_UNAVAILABLE",
  expected: "a Redis server that answers",
  todo: "Check the address, the server and the network; a server of Protoline connects again by itself.",
};
const refused: Meaning = {
  ...unavailable,
  todo: "Check user, password, rights and the number of the database in the address.",
};
const readOnly: Meaning = {
  code: "STORE_READ_ONLY",
  expected: "a server that takes changes",
  todo: "Name the primary and not a replica, and look into the server's log: it may be unable to write its file.",
};

/** By the first word of a reply that is an error. */
const meanings: Readonly<Record<string, Meaning>> = {
  LOADING: unavailable,
  MASTERDOWN: unavailable,
  BUSY: unavailable,
  NOREPLICAS: unavailable,
  NOAUTH: refused,
  WRONGPASS: refused,
  NOPERM: refused,
  READONLY: readOnly,
  MISCONF: readOnly,
  OOM: {
    code: "STORE_FULL",
    expected: "free memory",
    todo: "Raise the server's maxmemory; nothing that was acknowledged is lost.",
  },
  WRONGTYPE: {
    code: "STORE_BROKEN",
    expected: "keys that Protoline made",
    todo: "Choose another prefix.",
  },
};

/** What Redis or the way to it says, as a coded error. `lost` is why there is no connection, where there is none. */
export function translate(error: unknown, where: string, lost: Error | null): unknown {
  if (isProtolineError(error) || !(error instanceof Error)) return error;
  const cause = error.name === "ReplyError" ? error : (lost ?? error);
  // The command that failed, as ioredis adds it: with embeddings, or with the password.
  delete (cause as { command?: unknown }).command;
  const meaning = meaningOf(cause);
  if (!meaning) return error;
  const { code, expected, todo } = meaning;
  // Without what Redis adds of the script that it ran.
  const said = (cause.message || cause.name).replace(/\.? script: .*$/s, "");
  return new ProtolineError(code, {
    expected: `${expected} at ${quote(where, 200)}`,
    got: quote(said, 200).slice(1, -1),
    todo,
    cause,
  });
}

function meaningOf({ name, message }: Error): Meaning | undefined {
  if (name !== "ReplyError") return unavailable;
  if (/^ERR (max number|AUTH|DB index)/.test(message)) return refused;
  return meanings[message.split(" ", 1)[0]!];
}
