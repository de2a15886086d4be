import { currentActor } from "../../audit/index.ts";
import { isProtolineError, ProtolineError } from "../../core/index.ts";
import type { EnrollResult } from "../../recognizer/types.ts";
import { checkLabel } from "../../store/index.ts";
import { who } from "../auth.ts";
import type { App, Context } from "../context.ts";
import { parseRegion, readable, readUploads } from "../images.ts";
import { limitReply } from "../limit-reply.ts";
import { replies } from "../openapi.ts";
import type { Outbox } from "../outbox/index.ts";
import { ClassParams, EnrollErrorReply, EnrollLaterReply, EnrollQuery, EnrollReply } from "../protocol.ts";

const refusal = (origin: string, { code, message }: ProtolineError) => ({ origin, code, message });
const nothing = {
  ...{ added: [], duplicates: [], pending: 0 },
  ms: { decode: 0, embed: 0, store: 0, total: 0 },
};

type Later = EnrollResult & Pick<EnrollLaterReply, "id" | "waiting">;

export function enrollRoutes(app: App, { galleries, metrics, limits, outbox }: Context): void {
  app.post(
    "/v1/galleries/:gallery/classes/:label/samples",
    {
      config: { scope: "enroll", images: true },
      schema: {
        summary: "Enroll images of a class, which need not exist yet",
        description:
          "201 when images were added, 200 when the class holds all of them already. When none could be taken, the " +
          "status is that of the first error and the report stands beside it. 202 when the store is away and the " +
          "server has an outbox: the images are on its disk, and will be enrolled in their order once the store is back.",
        tags: ["recognition"],
        params: ClassParams,
        querystring: EnrollQuery,
        response: {
          ...replies(201, EnrollReply),
          ...replies(200, EnrollReply),
          ...replies(202, EnrollLaterReply),
          ...replies(422, EnrollErrorReply),
        },
      },
    },
    async (request, reply) => {
      const { gallery, label } = request.params;
      const { reason, region, origin, allowOtherClass } = request.query;
      const uploads = await readUploads(request, limits, origin);
      const recognizer = await galleries.recognizer(gallery);
      const good = uploads.flatMap((upload) => ("bytes" in upload ? [upload] : []));
      const tooLarge = uploads.flatMap((upload) =>
        "error" in upload ? [refusal(upload.origin, upload.error)] : [],
      );
      const options = { allowOtherClass, ...parseRegion(region), ...(reason !== undefined && { reason }) };

      const enroll = (): Promise<EnrollResult> => {
        const origins = good.map((upload) => upload.origin);
        const images = good.map(({ bytes }) => bytes);
        return recognizer.enroll(label, images, { origins, who: who(request), ...options });
      };
      const later = async (it: Outbox): Promise<EnrollResult | Later> => {
        const name = checkLabel(label);
        const { taken, rejected } = await readable(good, options.region, limits);
        const waiting = taken.map((upload) => upload.origin);
        const { number: revision } = recognizer.revision;
        const limit = recognizer.limits.get(name) ?? null;
        const report = { ...nothing, label: name, rejected, revision, limit };
        if (taken.length === 0) return report;
        const enrollment = {
          ...{ gallery, label: name, origins: waiting, reason: null, region: null, ...options },
          ...{ actor: currentActor()!, time: Date.now() },
        };
        const images = taken.map(({ bytes }) => bytes);
        return { ...report, id: await it.put(enrollment, images), waiting };
      };
      // What is sent while others wait waits behind them.
      const result = outbox?.waiting
        ? await later(outbox)
        : await enroll().catch((error: unknown) => {
            if (outbox && isProtolineError(error) && error.code === "STORE_UNAVAILABLE") return later(outbox);
            throw error;
          });

      const rejected = [...tooLarge, ...result.rejected];
      const report = { ...result, rejected, limit: limitReply(result.limit) };
      for (const { code } of report.rejected) metrics.rejected(code);
      if ("id" in report) return reply.code(202).send(report);
      metrics.enrolled(report.ms);
      metrics.revision(gallery, report.revision);
      if (report.added.length > 0) return reply.code(201).send(report);
      const [first] = report.rejected;
      if (!first || report.duplicates.length > 0) return report;
      const error = new ProtolineError(first.code, {
        expected: "at least one image that can be enrolled",
        got: `${report.rejected.length} that cannot, the first of them because: ${first.message}`,
        todo: "The report names each image and its reason.",
      });
      return reply.code(error.status).send({ error: error.toJSON(), report });
    },
  );
}
