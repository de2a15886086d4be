import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { invalid, notFound, parseJson } from "./source.ts";

const step = Type.Integer({ minimum: 0 });
const stepLine = Type.Object({
  step,
  loss: Type.Number(),
  accuracy: Type.Number(),
  rate: Type.Number(),
  norm: Type.Optional(Type.Number()),
  ms: Type.Number(),
});
const validationLine = Type.Object({
  step,
  validation: Type.Object({
    episodes: Type.Integer(),
    loss: Type.Number(),
    accuracy: Type.Number(),
    /** `null` of a single episode. */
    ci95: Type.Union([Type.Number(), Type.Null()]),
  }),
});

export type StepLine = Static<typeof stepLine>;
export type ValidationLine = Static<typeof validationLine>;

/** A training run, as its folder tells it. */
export interface Run {
  readonly name: string;
  /** As `config.json` has it: shown, not used. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly steps: readonly StepLine[];
  readonly validations: readonly ValidationLine[];
}

/**
 * Reads `config.json` and `log.jsonl` of a run, which may be still under way.
 *
 * @throws REPORT_SOURCE_NOT_FOUND, REPORT_SOURCE_INVALID
 */
export async function readRun(folder: string): Promise<Run> {
  const configPath = join(folder, "config.json");
  const logPath = join(folder, "log.jsonl");
  const [config, log] = await Promise.all([
    readFile(configPath, "utf8").catch((error) => notFound(configPath, error)),
    readFile(logPath, "utf8").catch((error) => notFound(logPath, error)),
  ]);
  const parsed = parseJson(config, configPath);
  if (!Value.Check(Type.Record(Type.String(), Type.Unknown()), parsed))
    throw invalid(configPath, "an object", "something else");
  const steps: StepLine[] = [];
  const validations: ValidationLine[] = [];
  // What follows the last line break is a line that is being written.
  for (const [i, line] of log.split("\n").slice(0, -1).entries()) {
    const value = parseJson(line, `${logPath}, line ${i + 1}`);
    if (Value.Check(stepLine, value)) steps.push(value);
    else if (Value.Check(validationLine, value)) validations.push(value);
    else throw invalid(logPath, "a step or a validation in each line", `line ${i + 1}: ${line.slice(0, 60)}`);
  }
  const name = typeof parsed.name === "string" ? parsed.name : basename(resolve(folder));
  return { name, config: parsed, steps, validations };
}
