import { userInfo } from "node:os";
import type { Command } from "commander";
import type { Provider } from "../runtime/index.ts";
import { type Progress, startProgress, stopProgress } from "./progress.ts";
import { createPaint, type Paint } from "./text.ts";

/** The options that every command takes; see program.ts. */
interface CommonFlags {
  readonly store?: string;
  readonly gallery?: string;
  readonly model?: string;
  readonly learned?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly color: boolean;
  readonly threads?: number;
  readonly provider?: Provider;
}

export const defaultStore = "sqlite:.protoline/protoline.db";

/** What a command knows of the world outside: its common options, the environment, who runs it, and where to write. */
export interface Context {
  /** See openStore. May hold a password: print it by withoutPassword alone. */
  readonly store: string;
  /** File of the audit log in which changes are written first, or `null`. */
  readonly audit: string | null;
  readonly gallery: string;
  /** Whether the user named it. */
  readonly galleryNamed: boolean;
  readonly model?: string;
  /** Folder of models that were learned on galleries, where the user named one; see sources. */
  readonly learned: string | null;
  readonly threads?: number;
  readonly provider?: Provider;
  readonly json: boolean;
  readonly who: string;
  readonly paint: Paint;
  /** Answers: one line, or several, on the standard output. */
  print(text: string): void;
  /** For a person alone: on the error output, and not with --quiet. */
  note(text: string): void;
  /** What went wrong without ending the command: on the error output, always. */
  warn(text: string): void;
  progress(label: string, total: number): Promise<Progress>;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a number that no user has.
    return "unknown";
  }
}

function createContext(flags: CommonFlags): Context {
  const { env } = process;
  const quiet = flags.quiet ?? false;
  const colored = flags.color && !env.NO_COLOR && process.stdout.isTTY === true;
  const toStderr = (text: string): void => {
    stopProgress();
    process.stderr.write(`${text}\n`);
  };
  return {
    store: flags.store || env.PROTOLINE_STORE || defaultStore,
    audit: env.PROTOLINE_AUDIT || null,
    gallery: flags.gallery ?? "default",
    galleryNamed: flags.gallery !== undefined,
    model: flags.model,
    learned: flags.learned ?? (env.PROTOLINE_LEARNED || null),
    threads: flags.threads,
    provider: flags.provider,
    json: flags.json ?? false,
    who: userName(),
    paint: createPaint(colored),
    print: (text) => void process.stdout.write(`${text}\n`),
    note: (text) => {
      if (!quiet) toStderr(text);
    },
    warn: toStderr,
    progress: (label, total) => startProgress(label, total, !quiet && process.stderr.isTTY === true),
  };
}

/**
 * A command's action from commander's form (arguments, options, command) to (context, arguments, options). A number
 * that it returns becomes the exit code; anything else means 0.
 */
export function action<Args extends readonly unknown[], Flags>(
  run: (context: Context, args: Args, flags: Flags) => Promise<unknown>,
): (...passed: unknown[]) => Promise<void> {
  return async (...passed) => {
    const command = passed.at(-1) as Command;
    const code = await run(
      createContext(command.optsWithGlobals()),
      passed.slice(0, -2) as unknown as Args,
      command.opts() as Flags,
    );
    if (typeof code === "number") process.exitCode = code;
  };
}

/** The examples below a command's help. */
export const examples = (...lines: readonly (readonly [command: string, what: string])[]): string => {
  const width = Math.max(...lines.map(([command]) => command.length));
  return `\nExamples:\n${lines.map(([command, what]) => `  $ ${command.padEnd(width)}  # ${what}`).join("\n")}`;
};
