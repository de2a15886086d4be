import { dirname, resolve } from "node:path";
import { type Static, type TSchema, Type } from "typebox";
import { Value } from "typebox/value";
import { parse } from "yaml";
import { ProtolineError, quote } from "../core/index.ts";

const strict = { additionalProperties: false } as const;
const optional = Type.Optional;
const text = Type.String({ minLength: 1 });
const count = Type.Integer({ minimum: 1 });
const variable = Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]*$" });

const sourceSchemas = {
  folder: Type.Object(
    { kind: Type.Literal("folder"), path: text, done: optional(text), failed: optional(text) },
    strict,
  ),
  mqtt: Type.Object({ kind: Type.Literal("mqtt"), url: text, topic: text, clientId: optional(text) }, strict),
  http: Type.Object(
    {
      kind: Type.Literal("http"),
      port: Type.Integer({ minimum: 0, maximum: 65535 }),
      host: optional(text),
      tokenEnv: optional(variable),
    },
    strict,
  ),
  websocket: Type.Object(
    { kind: Type.Literal("websocket"), url: text, tokenEnv: optional(variable) },
    strict,
  ),
  rtsp: Type.Object(
    {
      kind: Type.Literal("rtsp"),
      url: text,
      fps: optional(Type.Number({ exclusiveMinimum: 0, maximum: 1000 })),
      passwordEnv: optional(variable),
      ffmpeg: optional(text),
    },
    strict,
  ),
};
const sinkSchemas = {
  file: Type.Object({ kind: Type.Literal("file"), path: text }, strict),
  mqtt: Type.Object({ kind: Type.Literal("mqtt"), url: text, topic: text, clientId: optional(text) }, strict),
  sqlite: Type.Object({ kind: Type.Literal("sqlite"), path: text }, strict),
  webhook: Type.Object({ kind: Type.Literal("webhook"), url: text, secretEnv: variable }, strict),
};

const schema = Type.Object(
  {
    name: Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" }),
    station: optional(text),
    batch: optional(text),
    shift: optional(text),
    gallery: Type.String({ minLength: 1, default: "default" }),
    sources: Type.Array(
      Type.Union([
        sourceSchemas.folder,
        sourceSchemas.mqtt,
        sourceSchemas.http,
        sourceSchemas.websocket,
        sourceSchemas.rtsp,
      ]),
      { minItems: 1 },
    ),
    sinks: Type.Array(
      Type.Union([sinkSchemas.file, sinkSchemas.mqtt, sinkSchemas.sqlite, sinkSchemas.webhook]),
      { minItems: 1 },
    ),
    buffer: Type.Integer({ minimum: 1, default: 64 }),
    deadLetters: Type.String({ minLength: 1, default: "dead-letters.jsonl" }),
    giveUpAfter: Type.Number({ minimum: 0, default: 60 }),
    perSecond: optional(count),
  },
  strict,
);

/**
 * A line, as its file says it.
 *
 * - `name`, `station`, `batch`, `shift`: stand on every result; a source may say batch and shift frame by frame.
 * - `gallery`: of the store that the command names. Default `default`.
 * - `sources`: `folder` (`path`; answered pictures go to `done`, unreadable ones to `failed`: folders in it by default),
 *   `mqtt` (JPEG or PNG as payload, QoS 1; `clientId` keeps the broker's queue for this line), `http` (`POST /frames`;
 *   `host` 127.0.0.1 by default; `tokenEnv` names the environment variable that holds the bearer token), `websocket`
 *   (binary messages of the server at `url`; `tokenEnv` as before), `rtsp` (a camera, read by `ffmpeg` from the PATH or
 *   that path; `fps` pictures a second at most, > 0, by default all; `passwordEnv` names the variable with its password).
 * - `sinks`: `file` (`.jsonl`, or `.csv`), `mqtt` (QoS 1; the retained topic `TOPIC/state` says online or offline),
 *   `sqlite` (the table `result` of the file `path`), `webhook` (`secretEnv` names the environment variable that holds the secret of the signature).
 * - `buffer`: frames in the line at a time, ≥ 1; the sources wait beyond that. Default 64.
 * - `giveUpAfter`: seconds that a result is tried at a sink before it goes to the file `deadLetters`. Default 60.
 * - `perSecond`: results that a sink is given a second, at most. Default: as they come.
 *
 * Paths are those of the file's folder.
 */
export type LineConfig = Static<typeof schema>;
export type SourceSpec = LineConfig["sources"][number];
export type SinkSpec = LineConfig["sinks"][number];

/**
 * Reads the text of a line's file, YAML or JSON; `path` is its own.
 *
 * @throws LINE_INVALID that names the first wrong field.
 */
export function parseLine(content: string, path: string): LineConfig {
  let value: unknown;
  try {
    value = parse(content);
  } catch (error) {
    throw invalid(path, "(the whole)", "YAML or JSON", (error as Error).message.split("\n")[0]!);
  }
  const filled: unknown = Value.Default(schema, value);
  if (!Value.Check(schema, filled)) throw firstFault(filled, path);
  const at = (relative: string): string => resolve(dirname(path), relative);
  return {
    ...filled,
    deadLetters: at(filled.deadLetters),
    sources: filled.sources.map((one) =>
      one.kind === "folder"
        ? {
            ...one,
            path: at(one.path),
            done: at(one.done ?? `${one.path}/done`),
            failed: at(one.failed ?? `${one.path}/failed`),
          }
        : one,
    ),
    sinks: filled.sinks.map((one) => ("path" in one ? { ...one, path: at(one.path) } : one)),
  };
}

/** The first wrong field. A source or sink is held to the schema of its own kind, not to all of them. */
function firstFault(value: unknown, path: string): ProtolineError {
  const lists = { sources: sourceSchemas, sinks: sinkSchemas } as const;
  for (const [list, schemas] of Object.entries(lists)) {
    const entries: unknown = (value as Record<string, unknown> | null)?.[list];
    for (const [i, entry] of (Array.isArray(entries) ? entries : []).entries()) {
      const kind = (entry as { kind?: unknown } | null)?.kind;
      const known = Object.entries<TSchema>(schemas).find(([name]) => name === kind)?.[1];
      if (!known)
        throw invalid(
          path,
          `${list}.${i}.kind`,
          Object.keys(schemas).join(", "),
          JSON.stringify(kind) ?? "nothing",
        );
      const error = Value.Errors(known, entry)[0];
      if (error) return told(error, entry, path, `${list}.${i}.`);
    }
  }
  const error = Value.Errors(schema, value)[0]!;
  return told(error, value, path, "");
}

function told(
  { keyword, instancePath, message }: ReturnType<typeof Value.Errors>[number],
  value: unknown,
  path: string,
  before: string,
): ProtolineError {
  const field = instancePath.slice(1).replaceAll("/", ".");
  const got = field
    .split(".")
    .reduce<unknown>((inside, key) => (inside as Record<string, unknown> | null)?.[key] ?? null, value);
  const expected =
    keyword === "boolean" || keyword === "additionalProperties"
      ? "no field of that name"
      : `something that ${message}`;
  const whole = `${before}${field}`.replace(/\.$/, "") || "(the whole)";
  return invalid(path, whole, expected, field === "" ? "another value" : JSON.stringify(got));
}

function invalid(path: string, field: string, expected: string, got: string): ProtolineError {
  return new ProtolineError("LINE_INVALID", {
    expected: `${expected} in field ${quote(field)} of ${quote(path, 200)}`,
    got: quote(got),
    todo: "Correct the field; docs/line.md lists all of them.",
  });
}
