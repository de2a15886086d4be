import Type from "typebox";
import { ProtolineError, quote } from "../../core/index.ts";
import { isWorse } from "../../recognizer/index.ts";
import { who } from "../auth.ts";
import type { CandidateState } from "../candidate/index.ts";
import type { App, Context } from "../context.ts";
import { replies } from "../openapi.ts";
import { GalleryParams, ReasonQuery, RevisionReply } from "../protocol.ts";
import { CandidateBody, CandidateFrameParams, CandidateReply } from "../protocol-candidate.ts";
import { thumbnailOf } from "./thumbnails.ts";

export function candidateRoutes(app: App, { store, candidates, limits }: Context): void {
  const tags = ["candidate"];
  const path = "/v1/galleries/:gallery/candidate";

  app.post(
    path,
    {
      config: { scope: "edit" },
      schema: {
        summary:
          "Make a candidate beside the gallery: another decision, another model, its encoder trained further",
        description:
          "It is made in the background, held against the gallery on held-out pictures and on its own, each left out, and " +
          "then answers live frames beside it, after they were answered. Nothing changes until it is promoted.",
        tags,
        params: GalleryParams,
        body: CandidateBody,
        response: replies(202, CandidateReply),
      },
    },
    async (request, reply) => {
      const { gallery } = request.params;
      const state = await candidates.start(gallery, request.body, who(request));
      request.log.info({ gallery, who: who(request), ...request.body }, "candidate started");
      return reply.code(202).send(told(state));
    },
  );

  app.get(
    path,
    {
      config: { scope: "read" },
      schema: {
        summary: "How far the candidate is, how it compares, and what it answers otherwise",
        tags,
        params: GalleryParams,
        response: replies(200, CandidateReply),
      },
    },
    async ({ params: { gallery } }): Promise<CandidateReply> => {
      await store.head(gallery);
      return told(candidates.state(gallery));
    },
  );

  app.get(
    `${path}/frames/:id`,
    {
      config: { scope: "read" },
      schema: {
        summary: "A frame that the two answer otherwise, as a JPEG of at most 192 pixels a side",
        tags,
        params: CandidateFrameParams,
        response: replies(200, Type.String({ format: "binary" }), "image/jpeg"),
      },
    },
    async ({ params: { gallery, id } }, reply) => {
      await store.head(gallery);
      const found = candidates.state(gallery).shadow?.differences.find((one) => one.id === id);
      if (!found)
        throw new ProtolineError("FRAME_NOT_FOUND", {
          expected: `one of the newest differences of the candidate beside ${quote(gallery)}`,
          got: quote(id),
          todo: "Ask for the candidate again: newer ones have come since.",
        });
      const bytes = await thumbnailOf(found, {
        maxBytes: limits.imageBytes,
        maxPixels: limits.imagePixels,
      });
      return reply.type("image/jpeg").send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    },
  );

  app.post(
    `${path}/promote`,
    {
      config: { scope: "edit" },
      schema: {
        summary: "The candidate becomes the gallery's next revision; rolling back undoes it",
        tags,
        params: GalleryParams,
        querystring: ReasonQuery,
        response: replies(200, RevisionReply),
      },
    },
    async (request) => {
      const { gallery } = request.params;
      await store.head(gallery);
      return candidates.promote(gallery, { who: who(request), ...request.query });
    },
  );

  app.delete(
    path,
    {
      config: { scope: "edit" },
      schema: {
        summary: "Give the candidate up",
        tags,
        params: GalleryParams,
        response: replies(204, Type.Null()),
      },
    },
    async (request, reply) => {
      const { gallery } = request.params;
      await store.head(gallery);
      await candidates.stop(gallery);
      request.log.info({ gallery, who: who(request) }, "candidate given up");
      return reply.code(204).send();
    },
  );
}

const told = ({ error, shadow, comparison, ...state }: CandidateState): CandidateReply => ({
  ...state,
  error: error?.toJSON() ?? null,
  comparison,
  worse: comparison && isWorse(comparison),
  shadow: shadow && {
    ...shadow,
    differences: shadow.differences.map(({ id, time, revision, current, candidate }) => ({
      ...{ id, time, revision, current, candidate },
    })),
  },
});
