import type { FastifyReply, FastifyRequest } from "fastify";
import { isProtolineError } from "../core/index.ts";
import type { Admission, Arrival } from "../serving/index.ts";
import type { Metrics } from "./metrics.ts";

/** Requests whose body is still to come, let in or refused before it is read. */
export interface Arrivals {
  /** To be the `preParsing` hook of a route. A multipart request is let through: how many frames it has is not known yet. */
  look(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  /** `undefined` where nothing bounds the requests, or the request was let through. */
  of(request: FastifyRequest): Arrival | undefined;
}

export function createArrivals(admission: Admission | undefined, metrics: Metrics): Arrivals {
  const known = new WeakMap<FastifyRequest, Arrival>();
  return {
    async look(request, reply) {
      if (!admission || request.isMultipart()) return;
      try {
        const arrival = admission.arrive();
        known.set(request, arrival);
        // After the body was let in this does nothing.
        reply.raw.once("close", () => arrival.abandon());
      } catch (error) {
        if (isProtolineError(error)) metrics.rejected(error.code);
        throw error;
      }
    },
    of: (request) => known.get(request),
  };
}
