import Type from "typebox";
import { createArrivals } from "../arrivals.ts";
import { who } from "../auth.ts";
import type { App, Context } from "../context.ts";
import { parseRegion, readUploads } from "../images.ts";
import type { Timed } from "../metrics.ts";
import { replies } from "../openapi.ts";
import {
  type ErrorReply,
  GalleryParams,
  RecognitionReply,
  RecognitionsReply,
  RecognizeQuery,
} from "../protocol.ts";

export function recognizeRoutes(app: App, { metrics, limits, admission, recognizing }: Context): void {
  const arrivals = createArrivals(admission, metrics);

  app.post(
    "/v1/galleries/:gallery/recognize",
    {
      config: { scope: "recognize", images: true },
      preParsing: arrivals.look,
      schema: {
        summary: "Recognize one image, or the files of a multipart request",
        tags: ["recognition"],
        params: GalleryParams,
        querystring: RecognizeQuery,
        response: replies(200, Type.Union([RecognitionReply, RecognitionsReply])),
      },
    },
    async (
      request,
      reply,
    ): Promise<Timed | { results: ({ origin: string } & ({ answer: Timed } | ErrorReply))[] }> => {
      const uploads = await readUploads(request, limits);
      const images = uploads.flatMap((upload) => ("bytes" in upload ? [upload.bytes] : []));
      const { topK, region, withinMs } = request.query;
      const answers = await recognizing.recognize(request.params.gallery, images, {
        options: { topK, ...parseRegion(region) },
        withinMs,
        arrival: arrivals.of(request),
        from: who(request),
        onGone: (end) => reply.raw.once("close", () => end("a client that left")),
      });
      if (!request.isMultipart()) {
        const [answer] = answers;
        if (answer instanceof Error) throw answer;
        return answer!;
      }
      let next = 0;
      return {
        results: uploads.map((upload) => {
          const { origin } = upload;
          const answer = "error" in upload ? upload.error : answers[next++]!;
          if (!(answer instanceof Error)) return { origin, answer };
          // What could not even be read has not been counted yet.
          if ("error" in upload) metrics.rejected(answer.code);
          return { origin, error: answer.toJSON() };
        }),
      };
    },
  );
}
