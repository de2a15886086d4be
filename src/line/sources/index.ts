import type { SourceSpec } from "../config.ts";
import type { Source } from "../types.ts";
import { folderSource } from "./folder.ts";
import { httpSource } from "./http.ts";
import { mqttSource } from "./mqtt.ts";
import { rtspSource } from "./rtsp.ts";
import { websocketSource } from "./websocket.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** One line a source. */
export const sources: {
  readonly [K in SourceSpec["kind"]]: (spec: Extract<SourceSpec, { kind: K }>, env: Env) => Source;
} = {
  folder: folderSource,
  mqtt: mqttSource,
  http: httpSource,
  websocket: websocketSource,
  rtsp: rtspSource,
};

export const createSource = (spec: SourceSpec, env: Env): Source =>
  (sources[spec.kind] as (spec: SourceSpec, env: Env) => Source)(spec, env);
