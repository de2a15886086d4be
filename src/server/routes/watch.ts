import Type from "typebox";
import { ProtolineError, quote } from "../../core/index.ts";
import { cutRegion, decodePicture, thumbnail } from "../../data/index.ts";
import { sniff } from "../../data/pure.ts";
import type { App, Context } from "../context.ts";
import { createDoor, type SocketGuard } from "../door.ts";
import { replies } from "../openapi.ts";
import { GalleryParams } from "../protocol.ts";
import { FrameParams, WatchReply } from "../protocol-console.ts";
import { serveWatch } from "../watch.ts";

export function watchRoutes(
  app: App,
  { store, watching, metrics, limits }: Context,
  guard: SocketGuard,
): void {
  const path = "/v1/galleries/:gallery/watch";
  const tags = ["recognition"];
  const door = createDoor(app, {
    ...{ guard, limits, what: "watchers", instead: "look at the figures of /metrics" },
    onCount: (open) => metrics.watchers(open),
  });

  app.route({
    method: "GET",
    url: path,
    config: { scope: "read" },
    schema: {
      summary: "Watch over a WebSocket what a gallery answers, whoever sent the frames, the newest first",
      description:
        "Each text message is a frame with its answer and a small picture. Told in docs/http-api.md of the package.",
      tags,
      params: GalleryParams,
      response: replies(101, WatchReply),
    },
    preHandler: async (request) => {
      if (!request.ws) return;
      door.enter(request);
      await store.head(request.params.gallery);
    },
    handler: () => door.plain(),
    wsHandler: (socket, request) => {
      const { gallery } = request.params as { gallery: string };
      const guest = serveWatch(socket, {
        watch: (onFrame) => watching.watch(gallery, onFrame),
        allowed: door.allowed(request),
        coded: door.coded(request),
        patienceMs: limits.idleMs,
      });
      door.hold(socket, guest);
    },
  });

  app.get(
    `${path}/frames/:id`,
    {
      config: { scope: "read" },
      schema: {
        summary: "The picture of a frame that was just shown to those who watch, as it came",
        tags,
        params: FrameParams,
        response: replies(200, Type.String({ format: "binary" }), "image/*"),
      },
    },
    async ({ params: { gallery, id } }, reply) => {
      await store.head(gallery);
      const frame = watching.shown(gallery, id);
      if (!frame)
        throw new ProtolineError("FRAME_NOT_FOUND", {
          expected: `one of the newest frames of gallery ${quote(gallery)} that somebody watches`,
          got: quote(id),
          todo: "Ask while watching: newer frames have come since.",
        });
      const bytes = frame.region ? await cut(frame.bytes, frame.region) : frame.bytes;
      return reply
        .type(`image/${sniff(bytes).format ?? "jpeg"}`)
        .send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    },
  );

  /** The part of a picture that was looked at, in its own size. */
  async function cut(bytes: Uint8Array, region: Parameters<typeof cutRegion>[1]): Promise<Uint8Array> {
    const whole = await decodePicture(bytes, { maxBytes: limits.imageBytes, maxPixels: limits.imagePixels });
    const picture = cutRegion(whole, region);
    return thumbnail(picture, Math.max(picture.width, picture.height));
  }
}
