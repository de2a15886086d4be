import Type from "typebox";
import { ProtolineError, quote } from "../../core/index.ts";
import { type DriftFinding, driftText } from "../../monitor/index.ts";
import type { App, Context } from "../context.ts";
import { limitReply } from "../limit-reply.ts";
import { qualityOf } from "../line-monitor.ts";
import type { LinePicture } from "../line-pictures.ts";
import { replies } from "../openapi.ts";
import { GalleryParams, QualityQuery, QualityReply } from "../protocol.ts";
import { DriftPictureParams, DriftReply } from "../protocol-monitor.ts";
import { thumbnailOf } from "./thumbnails.ts";

export function monitorRoutes(app: App, { store, galleries, judge, monitor, alerts, limits }: Context): void {
  app.get(
    "/v1/galleries/:gallery/quality",
    {
      config: { scope: "read" },
      schema: {
        summary: "How good each class is, by leaving each of its pictures out; the worst first",
        description:
          "`expected`: both rates of the gallery at several stated ones, of known parts called unknown and of parts never " +
          "shown that are caught. They are computed once a revision.",
        tags: ["classes"],
        params: GalleryParams,
        querystring: QualityQuery,
        response: replies(200, QualityReply),
      },
    },
    async (request): Promise<QualityReply> => {
      const recognizer = await galleries.recognizer(request.params.gallery);
      const { revision, decision, limits } = recognizer;
      const [classes, expected] = await Promise.all([
        qualityOf(recognizer, judge),
        request.query.expected ? judge.rates(recognizer) : null,
      ]);
      return {
        revision: revision.number,
        falseRejectRate: decision.openSet.falseRejectRate,
        expected,
        classes: classes.map((one) => ({ ...one, limit: limitReply(limits.get(one.label)) })),
      };
    },
  );

  const stateOf = (gallery: string): DriftReply => {
    const state = monitor.state(gallery);
    const alarmed = state.alarm ? state.judged.findLast(({ alarm }) => alarm) : undefined;
    return {
      ...state,
      // JSON has no infinity: the mean of a class without any spread moves by that.
      judged: state.judged.map((window) => ({ ...window, findings: window.findings.map(finite) })),
      pictures: {
        reference: state.pictures.reference.map(told),
        alarmed: state.pictures.alarmed && {
          frame: state.pictures.alarmed.frame,
          pictures: state.pictures.alarmed.pictures.map(told),
        },
      },
      text: alarmed ? driftText(alarmed) : null,
      alerts: alerts?.open(gallery) ?? [],
    };
  };

  app.get(
    "/v1/galleries/:gallery/drift",
    {
      config: { scope: "read" },
      schema: {
        summary: "Whether the line has changed since its reference was taken, window by window",
        tags: ["monitor"],
        params: GalleryParams,
        response: replies(200, DriftReply),
      },
    },
    async ({ params: { gallery } }): Promise<DriftReply> => {
      await store.gallery(gallery);
      return stateOf(gallery);
    },
  );
  app.get(
    "/v1/galleries/:gallery/drift/pictures/:id",
    {
      config: { scope: "read" },
      schema: {
        summary:
          "A frame of the reference or of the window that alarmed, as a JPEG of at most 192 pixels a side",
        tags: ["monitor"],
        params: DriftPictureParams,
        response: replies(200, Type.String({ format: "binary" }), "image/jpeg"),
      },
    },
    async ({ params: { gallery, id } }, reply) => {
      await store.gallery(gallery);
      const { reference, alarmed } = monitor.state(gallery).pictures;
      const found = [...reference, ...(alarmed?.pictures ?? [])].find((one) => one.id === id);
      if (!found)
        throw new ProtolineError("FRAME_NOT_FOUND", {
          expected: `a picture of the reference of ${quote(gallery)} or of its last window that alarmed`,
          got: quote(id),
          todo: "Ask for the drift again: another window has alarmed since, or another reference has begun.",
        });
      const bytes = await thumbnailOf(found, {
        maxBytes: limits.imageBytes,
        maxPixels: limits.imagePixels,
      });
      return reply.type("image/jpeg").send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    },
  );
  app.post(
    "/v1/galleries/:gallery/drift/reference",
    {
      config: { scope: "edit" },
      schema: {
        summary: "The line is well as it is now: the next frames become the reference",
        tags: ["monitor"],
        params: GalleryParams,
        querystring: Type.Object({}, { additionalProperties: false }),
        response: replies(200, DriftReply),
      },
    },
    async ({ params: { gallery } }): Promise<DriftReply> => {
      await store.gallery(gallery);
      monitor.restart(gallery);
      return stateOf(gallery);
    },
  );
}

const told = ({ id, label, distance }: LinePicture) => ({ id, label, distance });

const finite = (finding: DriftFinding): DriftFinding =>
  Number.isFinite(finding.statistic) ? finding : { ...finding, statistic: Number.MAX_VALUE };
