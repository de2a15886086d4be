import Type from "typebox";
import { ProtolineError, quote } from "../../core/index.ts";
import { cutRegion, decodePicture, type ImageLimits, type Region, thumbnail } from "../../data/index.ts";
import type { App, Context } from "../context.ts";
import { replies } from "../openapi.ts";
import { ThumbnailParams } from "../protocol-console.ts";

/** Longer side in pixels: what a list shows, also on a screen of double density. */
const thumbnailSide = 192;
/** A picture, or its region where it has one, as a JPEG for a list. @param side its longer side at most, in pixels. */
export async function thumbnailOf(
  { bytes, region }: { readonly bytes: Uint8Array; readonly region?: Region | undefined },
  limits: Partial<ImageLimits>,
  side = thumbnailSide,
): Promise<Uint8Array> {
  const whole = await decodePicture(bytes, limits);
  return thumbnail(region ? cutRegion(whole, region) : whole, side);
}

/** Thumbnails that are kept, about 6 KB each. */
const most = 2000;

export function thumbnailRoute(app: App, { store, limits }: Context): void {
  const kept = new Map<string, Uint8Array>();

  app.get(
    "/v1/galleries/:gallery/samples/:id/thumbnail",
    {
      config: { scope: "read" },
      schema: {
        summary: "The kept picture of a sample as a JPEG of at most 192 pixels a side",
        tags: ["classes"],
        params: ThumbnailParams,
        response: replies(200, Type.String({ format: "binary" }), "image/jpeg"),
      },
    },
    async (request, reply) => {
      const { gallery, id } = request.params;
      // Asked also where the thumbnail is kept, so that one of a removed gallery is not shown.
      await store.head(gallery);
      const key = `${gallery} ${id}`;
      let bytes = kept.get(key);
      if (!bytes) {
        const image = await store.image(gallery, id);
        if (!image)
          throw new ProtolineError("SAMPLE_NOT_FOUND", {
            expected: `a sample of gallery ${quote(gallery)} with a kept picture`,
            got: quote(id),
            todo: "List the samples for their ids; pictures may be kept as thumbnails or not at all.",
          });
        bytes = await thumbnailOf(image, { maxBytes: limits.importBytes, maxPixels: limits.imagePixels });
        const [oldest] = kept.keys();
        if (kept.size >= most && oldest !== undefined) kept.delete(oldest);
        kept.set(key, bytes);
      }
      return reply.type("image/jpeg").send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    },
  );
}
