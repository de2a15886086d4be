import { isProtolineError, row } from "../../core/index.ts";
import { checkLabel } from "../../store/index.ts";
import { type Candidate, checkCandidates } from "../check.ts";
import type { App, Context } from "../context.ts";
import { readUploads } from "../images.ts";
import { certaintyReply } from "../limit-reply.ts";
import { replies } from "../openapi.ts";
import { CheckParams, CheckReply } from "../protocol-console.ts";

export function checkRoute(app: App, { store, galleries, judge, limits }: Context): void {
  app.post(
    "/v1/galleries/:gallery/classes/:label/check",
    {
      config: { scope: "enroll", images: true },
      schema: {
        summary: "What enrolling images of a class would mean; nothing is kept",
        description:
          "For each image: whether it is there already or looks like another, is an outlier of its class, and how " +
          "the gallery with all of the others would answer it. For the class: which other it is most easily taken for, " +
          "how sure its limit would be, and how many further pictures make it so.",
        tags: ["recognition"],
        params: CheckParams,
        response: replies(200, CheckReply),
      },
    },
    async (request): Promise<CheckReply> => {
      const { gallery } = request.params;
      const label = checkLabel(request.params.label);
      const uploads = await readUploads(request, limits);
      const recognizer = await galleries.recognizer(gallery);
      const candidates: (Candidate & { index: number })[] = [];
      const errors = new Map<number, { code: string; message: string }>();
      for (const [index, upload] of uploads.entries())
        try {
          if ("error" in upload) throw upload.error;
          const embedding = row(await recognizer.embed([upload.bytes]), 0);
          candidates.push({ bytes: upload.bytes, embedding, index });
        } catch (error) {
          if (!isProtolineError(error)) throw error;
          errors.set(index, { code: error.code, message: error.message });
        }
      const snapshot = await store.snapshot(gallery);
      const report =
        candidates.length > 0
          ? await checkCandidates(label, candidates, snapshot, recognizer.priors, recognizer.limits, judge)
          : {
              pictures: [],
              nearest: null,
              leftOut: null,
              limit: certaintyReply(recognizer.limits.get(label)),
            };
      const of = new Map(candidates.map(({ index }, i) => [index, report.pictures[i]!]));
      const pictures = uploads.map(({ origin }, index): CheckReply["pictures"][number] => {
        const picture = of.get(index);
        if (!picture)
          return {
            origin,
            error: errors.get(index)!,
            duplicateOf: null,
            sameAs: null,
            outlier: false,
            distance: null,
            leftOut: null,
          };
        // Counted among the readable ones inside, among all of the request outside.
        const sameAs = picture.sameAs === null ? null : candidates[picture.sameAs]!.index;
        return { origin, error: null, ...picture, sameAs };
      });
      return {
        label,
        revision: snapshot.revision.number,
        pictures,
        nearest: report.nearest,
        leftOut: report.leftOut,
        limit: report.limit,
      };
    },
  );
}
