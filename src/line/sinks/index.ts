import type { SinkSpec } from "../config.ts";
import type { Sink } from "../types.ts";
import { fileSink } from "./file.ts";
import { mqttSink } from "./mqtt.ts";
import { sqliteSink } from "./sqlite.ts";
import { webhookSink } from "./webhook.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** One line a sink. */
export const sinks: {
  readonly [K in SinkSpec["kind"]]: (spec: Extract<SinkSpec, { kind: K }>, env: Env) => Sink;
} = { file: fileSink, mqtt: (spec) => mqttSink(spec), sqlite: sqliteSink, webhook: webhookSink };

export const createSink = (spec: SinkSpec, env: Env): Sink =>
  (sinks[spec.kind] as (spec: SinkSpec, env: Env) => Sink)(spec, env);
