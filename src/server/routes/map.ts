import { stack } from "../../core/index.ts";
import { who } from "../auth.ts";
import type { App, Context } from "../context.ts";
import { spread } from "../judge/index.ts";
import { replies } from "../openapi.ts";
import { GalleryParams, ReasonQuery, RevisionReply } from "../protocol.ts";
import { DecisionBody, MapReply } from "../protocol-console.ts";
import { spaceOf } from "../tray/rules.ts";

/** Samples that are shown, at most: 500 embeddings of 2000 numbers are 4 MB. */
const mostSamples = 500;

export function mapRoutes(app: App, { galleries, judge }: Context): void {
  app.get(
    "/v1/galleries/:gallery/map",
    {
      config: { scope: "read" },
      schema: {
        summary: "Each sample's embedding, and how the gallery without it would answer it",
        tags: ["classes"],
        params: GalleryParams,
        response: replies(200, MapReply),
      },
    },
    async (request): Promise<MapReply> => {
      const recognizer = await galleries.recognizer(request.params.gallery);
      const { samples, decision, revision } = recognizer;
      const answers = await judge.gallery(recognizer);
      const shown = spread(
        samples.filter(({ id }) => answers.has(id)),
        mostSamples,
      );
      const { place } = spaceOf(samples, decision.transform);
      const dim = recognizer.encoder.embeddingDim;
      const { data } = stack(
        shown.map(({ embeddings }) => place(embeddings[0]!)),
        dim,
      );
      return {
        revision: revision.number,
        of: samples.length,
        falseRejectRate: decision.openSet.falseRejectRate,
        dim,
        vectors: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64"),
        samples: shown.map(({ id, label, origin }) => {
          const answer = answers.get(id);
          if (!answer) return { id, label, origin, leftOut: null };
          const { other, ...leftOut } = answer;
          return { id, label, origin, leftOut: { ...leftOut, strange: other?.excess ?? null } };
        }),
      };
    },
  );

  app.patch(
    "/v1/galleries/:gallery/decision",
    {
      config: { scope: "edit" },
      schema: {
        summary: "Another false-reject rate, as a new revision: where known ends and unknown begins",
        tags: ["galleries"],
        params: GalleryParams,
        querystring: ReasonQuery,
        body: DecisionBody,
        response: replies(200, RevisionReply),
      },
    },
    async (request) => {
      const recognizer = await galleries.recognizer(request.params.gallery);
      const { falseRejectRate } = request.body;
      const decision = {
        ...recognizer.decision,
        openSet: { ...recognizer.decision.openSet, falseRejectRate },
      };
      return recognizer.setDecision(decision, {
        who: who(request),
        reason: request.query.reason ?? `false-reject rate ${falseRejectRate}`,
      });
    },
  );
}
