import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from "fastify";
import type { Encoder } from "../models/types.ts";
import type { GalleryStore } from "../store/store.ts";
import type { Galleries } from "./galleries.ts";
import type { ServerLimits } from "./limits.ts";
import type { Metrics } from "./metrics.ts";

/** What the routes work with. */
export interface Context {
  readonly store: GalleryStore;
  readonly encoder: Encoder;
  readonly galleries: Galleries;
  readonly metrics: Metrics;
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
