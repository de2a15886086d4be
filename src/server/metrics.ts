import type { FastifyInstance } from "fastify";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { ErrorCode } from "../core/index.ts";
import type { Recognition } from "../recognizer/types.ts";

/** An answer, and how long its pictures waited for a worker: `queue`, which `embed` does not count. */
export type Timed = Recognition & { readonly ms: Recognition["ms"] & { readonly queue: number } };

export interface Metrics {
  readonly registry: Registry;
  /** Counts an answer and the time of its stages. */
  recognized(answer: Timed): void;
  /** The time of the stages of an enrollment, milliseconds. */
  enrolled(ms: { readonly decode: number; readonly embed: number; readonly store: number }): void;
  rejected(code: ErrorCode): void;
  /** Streams that are open. */
  streams(open: number): void;
  /** Sockets on which somebody looks on. */
  watchers(open: number): void;
  /** A frame of a stream gave way to a newer one. */
  passedOver(): void;
  /** A live frame beside a gallery's candidate. */
  shadowed(gallery: string, outcome: "same" | "different" | "skipped" | "failed"): void;
  /** The revision that a gallery answers from. */
  revision(gallery: string, number: number): void;
  /** The gallery is gone. */
  forget(gallery: string): void;
}

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Labels take a bounded number of values: route patterns and never addresses, kinds and never class names. */
export function createMetrics(app: FastifyInstance): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: "protoline_http_requests_total",
    help: "Requests answered.",
    labelNames: ["method", "route", "status"],
    registers,
  });
  const durations = new Histogram({
    name: "protoline_http_request_duration_seconds",
    help: "From the request's first line to the reply's last byte.",
    labelNames: ["route"],
    buckets: seconds,
    registers,
  });
  const stages = new Histogram({
    name: "protoline_stage_duration_seconds",
    help: "Time by stage; of a recognition one observation an image, of an enrollment one a request.",
    labelNames: ["operation", "stage"],
    buckets: seconds,
    registers,
  });
  const recognitions = new Counter({
    name: "protoline_recognitions_total",
    help: "Images recognized, by kind of answer.",
    labelNames: ["kind"],
    registers,
  });
  const rejections = new Counter({
    name: "protoline_images_rejected_total",
    help: "Images that were not taken, by error code.",
    labelNames: ["code"],
    registers,
  });
  const streams = new Gauge({
    name: "protoline_streams",
    help: "WebSocket streams that are open.",
    registers,
  });
  const watchers = new Gauge({
    name: "protoline_watchers",
    help: "WebSockets on which somebody watches what a gallery answers.",
    registers,
  });
  const passedOver = new Counter({
    name: "protoline_stream_frames_dropped_total",
    help: "Frames of streams that a newer one replaced before they were looked at.",
    registers,
  });
  const shadowed = new Counter({
    name: "protoline_shadow_frames_total",
    help: "Live frames beside a candidate, by what came of them.",
    labelNames: ["gallery", "outcome"],
    registers,
  });
  const revisions = new Gauge({
    name: "protoline_gallery_revision",
    help: "Revision that the gallery answers from.",
    labelNames: ["gallery"],
    registers,
  });

  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "none";
    requests.inc({ method: request.method, route, status: reply.statusCode });
    durations.observe({ route }, reply.elapsedTime / 1000);
  });

  return {
    registry,
    recognized: ({ kind, ms }) => {
      recognitions.inc({ kind });
      for (const stage of ["queue", "decode", "embed", "match"] as const)
        stages.observe({ operation: "recognize", stage }, ms[stage] / 1000);
    },
    enrolled: (ms) => {
      for (const stage of ["decode", "embed", "store"] as const)
        stages.observe({ operation: "enroll", stage }, ms[stage] / 1000);
    },
    rejected: (code) => rejections.inc({ code }),
    streams: (open) => streams.set(open),
    watchers: (open) => watchers.set(open),
    passedOver: () => passedOver.inc(),
    shadowed: (gallery, outcome) => shadowed.inc({ gallery, outcome }),
    revision: (gallery, number) => revisions.set({ gallery }, number),
    forget: (gallery) => revisions.remove({ gallery }),
  };
}
