import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from "fastify";
import type { Alerts } from "../alerts/index.ts";
import type { Encoder } from "../models/types.ts";
import type { Admission } from "../serving/index.ts";
import type { GalleryStore } from "../store/store.ts";
import type { Candidates } from "./candidate/index.ts";
import type { Galleries } from "./galleries.ts";
import type { Judge } from "./judge/index.ts";
import type { Learning } from "./learning.ts";
import type { ServerLimits } from "./limits.ts";
import type { LineMonitor } from "./line-monitor.ts";
import type { Metrics } from "./metrics.ts";
import type { Models } from "./models.ts";
import type { Outbox } from "./outbox/index.ts";
import type { Recognizing } from "./recognizing.ts";
import type { Tray } from "./tray/index.ts";
import type { Watching } from "./watching.ts";

/** What the routes work with. */
export interface Context {
  readonly store: GalleryStore;
  readonly encoder: Encoder;
  readonly galleries: Galleries;
  readonly models: Models;
  readonly metrics: Metrics;
  readonly tray: Tray;
  readonly recognizing: Recognizing;
  readonly watching: Watching;
  readonly judge: Judge;
  readonly candidates: Candidates;
  readonly learning: Learning;
  readonly monitor: LineMonitor;
  readonly alerts: Alerts | undefined;
  readonly outbox: Outbox | undefined;
  readonly admission: Admission | undefined;
  readonly limits: ServerLimits;
  readonly version: string;
}

/** A fastify instance whose routes take their types from their schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
