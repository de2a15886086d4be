import { who } from "../auth.ts";
import type { App, Context } from "../context.ts";
import { createDoor, type SocketGuard } from "../door.ts";
import { parseRegion } from "../images.ts";
import { replies } from "../openapi.ts";
import { GalleryParams, RecognizeQuery, StreamReply } from "../protocol.ts";
import { serveStream } from "../stream.ts";

export function streamRoute(app: App, { recognizing, metrics, limits }: Context, guard: SocketGuard): void {
  const door = createDoor(app, {
    ...{ guard, limits, what: "streams", instead: "POST single frames to /recognize" },
    onCount: (open) => metrics.streams(open),
  });

  app.route({
    method: "GET",
    url: "/v1/galleries/:gallery/stream",
    config: { scope: "recognize" },
    schema: {
      summary: "Recognize a stream of frames over a WebSocket, the newest first",
      description:
        "Each binary message is a picture; the replies are text messages. Told in docs/http-api.md of the package.",
      tags: ["recognition"],
      params: GalleryParams,
      querystring: RecognizeQuery,
      response: replies(101, StreamReply),
    },
    preHandler: async (request) => {
      if (request.ws) door.enter(request);
    },
    handler: () => door.plain(),
    wsHandler: (socket, request) => {
      // The plugin, whose types know of no schema, hands the request on as it was validated.
      const { gallery } = request.params as { gallery: string };
      const { topK, region, withinMs } = request.query as {
        topK: number;
        region?: string;
        withinMs?: number;
      };
      const options = { topK, ...parseRegion(region) };
      const stream = serveStream(socket, {
        async answer(image, onGone) {
          const [answer] = await recognizing.recognize(gallery, [image], {
            ...{ options, withinMs, onGone, from: who(request) },
          });
          if (answer instanceof Error) throw answer;
          return answer!;
        },
        allowed: door.allowed(request),
        coded: door.coded(request),
        passedOver: () => metrics.passedOver(),
        patienceMs: limits.idleMs,
      });
      door.hold(socket, stream);
    },
  });
}
