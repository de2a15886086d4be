import { CommanderError } from "commander";
import { type ErrorCode, errorTable, isProtolineError } from "../core/index.ts";

/** The exit codes, for the help page and for {@link exitCode}. */
export const exitCodes = [
  [0, "done; for recognize: all pictures were answered, whatever the answers"],
  [1, "Protoline itself is at fault"],
  [2, "wrong usage or wrong input"],
  [3, "not found"],
  [4, "conflict with what is there"],
  [5, "refused: an API key is missing or does not allow this"],
  [6, "over a limit: size, rate or space"],
  [7, "unavailable: store, model address or execution provider"],
  [8, "partly done: what was good was kept, the rest is listed on the error output"],
  [130, "interrupted"],
] as const satisfies readonly (readonly [number, string])[];

export const partlyDone = 8;

const byStatus: Readonly<Record<number, number>> = {
  400: 2,
  401: 5,
  403: 5,
  404: 3,
  408: 7,
  409: 4,
  413: 6,
  415: 2,
  422: 2,
  429: 6,
  503: 7,
  431: 6,
  504: 7,
  507: 6,
};

export function exitCode(error: unknown): number {
  // Commander ends help and version with code 0, and every usage error with 1.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return isProtolineError(error) ? codeToExit(error.code) : 1;
}

export function codeToExit(code: ErrorCode): number {
  return byStatus[errorTable[code].status] ?? 1;
}

export interface ErrorText {
  readonly code: string;
  readonly message: string;
  readonly expected?: string;
  readonly got?: string;
  readonly todo?: string;
}

/** The error as plain data, for `--json`. */
export function errorObject(error: unknown): ErrorText {
  if (isProtolineError(error)) return error.toJSON();
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof CommanderError)
    return { code: "INVALID_ARGUMENT", message: text.replace(/^error: /, "").replace(/\s*\n\s*/g, " ") };
  return {
    code: "INTERNAL",
    message: `Protoline itself is at fault: ${text}. Run the command again with PROTOLINE_DEBUG=1 and report what it prints.`,
  };
}

/** The error as one line for a person. */
export function errorLine(error: unknown): string {
  const { code, message } = errorObject(error);
  return error instanceof CommanderError ? `error: ${message}` : `error: ${message} [${code}]`;
}
