import Type from "typebox";
import { isProtolineError, ProtolineError, quote } from "../../core/index.ts";
import type { Limit } from "../../fewshot/index.ts";
import { type ClassStatistics, checkLabel } from "../../store/index.ts";
import { who } from "../auth.ts";
import type { App, Context } from "../context.ts";
import { limitReply } from "../limit-reply.ts";
import { replies } from "../openapi.ts";
import {
  ClassesReply,
  ClassParams,
  GalleryParams,
  MergeBody,
  ReasonQuery,
  RemoveSamplesQuery,
  RenameBody,
  RevisionReply,
  SampleParams,
  SamplesQuery,
  SamplesReply,
} from "../protocol.ts";

/** √(Σ_d (E[x_d²] − E[x_d]²)), clamped as the difference may fall below 0 by rounding. */
function spread({ n, sum, sumOfSquares }: ClassStatistics): number {
  let variance = 0;
  for (let d = 0; d < sum.length; d++) variance += Math.max(0, sumOfSquares[d]! / n - (sum[d]! / n) ** 2);
  return n < 2 ? 0 : Math.sqrt(variance);
}

/** Kept pictures are shown as what they are, but for nothing that a browser would run. */
const showable = /^image\/(jpeg|png|webp|tiff|bmp|gif|avif)$/;

export function classRoutes(app: App, { store, galleries }: Context): void {
  const tags = ["classes"];
  const limitsOf = async (gallery: string, revision: number): Promise<ReadonlyMap<string, Limit>> => {
    try {
      const recognizer = await galleries.recognizer(gallery);
      return recognizer.revision.number === revision ? recognizer.limits : new Map();
    } catch (error) {
      // Classes can be looked at although nothing here answers by them.
      if (isProtolineError(error) && error.code === "MODEL_MISMATCH") return new Map();
      throw error;
    }
  };

  app.get(
    "/v1/galleries/:gallery/classes",
    {
      config: { scope: "read" },
      schema: {
        summary: "Classes of the head revision",
        tags,
        params: GalleryParams,
        response: replies(200, ClassesReply),
      },
    },
    async (request): Promise<ClassesReply> => {
      const { gallery } = request.params;
      const revision = await store.head(gallery);
      const statistics = await store.classStatistics(gallery);
      const limits = await limitsOf(gallery, revision);
      return {
        revision,
        classes: statistics.map((it) => ({
          ...{ label: it.label, samples: it.n, spread: spread(it) },
          limit: limitReply(limits.get(it.label)),
        })),
      };
    },
  );

  app.patch(
    "/v1/galleries/:gallery/classes/:label",
    {
      config: { scope: "edit" },
      schema: {
        summary: "Rename a class",
        tags,
        params: ClassParams,
        querystring: ReasonQuery,
        body: RenameBody,
        response: replies(200, RevisionReply),
      },
    },
    async (request) => {
      const { gallery, label } = request.params;
      const change = { who: who(request), ...request.query };
      const revision = await store.renameClass(gallery, label, request.body.label, change);
      await galleries.changed(gallery);
      return revision;
    },
  );

  app.post(
    "/v1/galleries/:gallery/merge",
    {
      config: { scope: "edit" },
      schema: {
        summary: "Move all samples of some classes into one",
        tags,
        params: GalleryParams,
        querystring: ReasonQuery,
        body: MergeBody,
        response: replies(200, RevisionReply),
      },
    },
    async (request) => {
      const { gallery } = request.params;
      const { from, into } = request.body;
      const revision = await store.mergeClasses(gallery, from, into, { who: who(request), ...request.query });
      await galleries.changed(gallery);
      return revision;
    },
  );

  app.delete(
    "/v1/galleries/:gallery/classes/:label",
    {
      config: { scope: "edit" },
      schema: {
        summary: "Remove a class; a rollback brings it back",
        tags,
        params: ClassParams,
        querystring: ReasonQuery,
        response: replies(200, RevisionReply),
      },
    },
    async (request) => {
      const { gallery, label } = request.params;
      const revision = await store.removeClass(gallery, label, { who: who(request), ...request.query });
      await galleries.changed(gallery);
      return revision;
    },
  );

  app.get(
    "/v1/galleries/:gallery/samples",
    {
      config: { scope: "read" },
      schema: {
        summary: "Support samples of the head, or of another revision",
        tags,
        params: GalleryParams,
        querystring: SamplesQuery,
        response: replies(200, SamplesReply),
      },
    },
    async (request): Promise<SamplesReply> => {
      const { revision } = request.query;
      const wanted = request.query.label === undefined ? null : checkLabel(request.query.label);
      const snapshot = await store.snapshot(request.params.gallery, revision);
      return {
        revision: snapshot.revision.number,
        samples: snapshot.samples
          .filter((sample) => wanted === null || sample.label === wanted)
          .map(({ id, label, origin, contentHash, time, who }) => ({
            id,
            label,
            origin,
            contentHash,
            time,
            who,
          })),
      };
    },
  );

  app.delete(
    "/v1/galleries/:gallery/samples",
    {
      config: { scope: "edit" },
      schema: {
        summary: "Remove samples, all in one revision",
        tags,
        params: GalleryParams,
        querystring: RemoveSamplesQuery,
        response: replies(200, RevisionReply),
      },
    },
    async (request) => {
      const { gallery } = request.params;
      const { id, ...reason } = request.query;
      const revision = await store.removeSamples(gallery, id, { who: who(request), ...reason });
      await galleries.changed(gallery);
      return revision;
    },
  );

  app.get(
    "/v1/galleries/:gallery/samples/:id/image",
    {
      config: { scope: "read" },
      schema: {
        summary: "The kept picture of a sample",
        tags,
        params: SampleParams,
        response: replies(200, Type.String({ format: "binary" }), "image/*"),
      },
    },
    async (request, reply) => {
      const { gallery, id } = request.params;
      const image = await store.image(gallery, id);
      if (!image)
        throw new ProtolineError("SAMPLE_NOT_FOUND", {
          expected: `a sample of gallery ${quote(gallery)} with a kept picture`,
          got: quote(id),
          todo: "List the samples for their ids; pictures may be kept as thumbnails or not at all.",
        });
      return reply
        .type(showable.test(image.type) ? image.type : "application/octet-stream")
        .send(Buffer.from(image.bytes.buffer, image.bytes.byteOffset, image.bytes.byteLength));
    },
  );
}
