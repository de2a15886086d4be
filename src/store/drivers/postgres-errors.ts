import { type ErrorCode, isProtolineError, ProtolineError, quote } from "../../core/index.ts";

interface Meaning {
  readonly code: ErrorCode;
  readonly expected: string;
  readonly todo: string;
}

const unavailable: Meaning = {
  code: "STORE_UNAVAILABLE",
  expected: "a PostgreSQL server that answers",
  todo: "Check the address, the server and the network; a server of Protoline connects again by itself.",
};
const readOnly: Meaning = {
  code: "STORE_READ_ONLY",
  expected: "a server and a schema that this user may write",
  todo: "Give this user the right to create and change tables there, and name the primary and not a standby.",
};
const busy: Meaning = {
  code: "STORE_BUSY",
  expected: "no other process writing for long",
  todo: "Try again, or end the other process.",
};

/**
 * By the beginning of SQLSTATE, the longest first: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const meanings: readonly (readonly [state: string, meaning: Meaning])[] = [
  ["22021", { code: "INVALID_ARGUMENT", expected: "text without NUL characters", todo: "Take them out." }],
  ["25006", readOnly],
  ["25P0", unavailable],
  ["42501", readOnly],
  ["42P01", broken("the tables that Protoline made")],
  [
    "53100",
    { code: "STORE_FULL", expected: "free space", todo: "Free some space on the server and try again." },
  ],
  ["55P03", busy],
  ["57014", busy],
  ["08", unavailable],
  ["28", { ...unavailable, todo: "Check user and password in the address, and the server's pg_hba.conf." }],
  ["3D", { ...unavailable, todo: "Make the database (createdb), or correct its name in the address." }],
  ["40", busy],
  ["53", unavailable],
  ["57", unavailable],
  ["58", broken("files that the server can read")],
  ["XX", broken("a database that is whole")],
];

function broken(expected: string): Meaning {
  return {
    code: "STORE_BROKEN",
    expected,
    todo: "Bring the database back from a backup, or choose another schema.",
  };
}

/** What PostgreSQL or the way to it says, as a coded error. `where` is the address without its password. */
export function translate(error: unknown, where: string): unknown {
  if (isProtolineError(error) || !(error instanceof Error)) return error;
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  const state = typeof severity === "string" && typeof code === "string" ? code : null;
  // What has no SQLSTATE comes from the socket, or from pg about the socket.
  if (state === null) return coded(unavailable, where, error);
  const meaning = meanings.find(([beginning]) => state.startsWith(beginning))?.[1];
  return meaning ? coded(meaning, where, error) : error;
}

function coded({ code, expected, todo }: Meaning, where: string, cause: Error): ProtolineError {
  // Several addresses tried in vain have no message of their own.
  const said = cause.message || (cause as { code?: string }).code || cause.name;
  return new ProtolineError(code, {
    expected: `${expected} at ${quote(where, 200)}`,
    got: quote(said, 200).slice(1, -1),
    todo,
    cause,
  });
}
