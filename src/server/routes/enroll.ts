import { ProtolineError } from "../../core/index.ts";
import type { EnrollResult } from "../../recognizer/types.ts";
import { who } from "../auth.ts";
import type { App, Context } from "../context.ts";
import { parseRegion, readUploads } from "../images.ts";
import { replies } from "../openapi.ts";
import { ClassParams, EnrollErrorReply, EnrollQuery, EnrollReply } from "../protocol.ts";

export function enrollRoutes(app: App, { galleries, metrics, limits }: Context): void {
  app.post(
    "/v1/galleries/:gallery/classes/:label/samples",
    {
      config: { scope: "enroll", images: true },
      schema: {
        summary: "Enroll images of a class, which need not exist yet",
        description:
          "201 when images were added, 200 when the class holds all of them already. When none could be taken, the " +
          "status is that of the first error and the report stands beside it.",
        tags: ["recognition"],
        params: ClassParams,
        querystring: EnrollQuery,
        response: {
          ...replies(201, EnrollReply),
          ...replies(200, EnrollReply),
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
      const result = await recognizer.enroll(
        label,
        good.map(({ bytes }) => bytes),
        {
          origins: good.map((upload) => upload.origin),
          who: who(request),
          allowOtherClass,
          ...parseRegion(region),
          ...(reason !== undefined && { reason }),
        },
      );
      const tooLarge = uploads.flatMap((upload) =>
        "error" in upload
          ? [{ origin: upload.origin, code: upload.error.code, message: upload.error.message }]
          : [],
      );
      const report: EnrollResult = { ...result, rejected: [...tooLarge, ...result.rejected] };

      metrics.enrolled(report.ms);
      metrics.revision(gallery, report.revision);
      for (const { code } of report.rejected) metrics.rejected(code);
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
