import { randomUUID } from "node:crypto";
import Type from "typebox";
import { ProtolineError, quote } from "../../core/index.ts";
import { checkLabel } from "../../store/index.ts";
import { who } from "../auth.ts";
import type { App, Context } from "../context.ts";
import { limitReply } from "../limit-reply.ts";
import { replies } from "../openapi.ts";
import { GalleryParams, ReasonQuery } from "../protocol.ts";
import {
  ActionReply,
  AssignBody,
  AssignReply,
  FeedbackBody,
  FrameParams,
  FramesBody,
  TrayReply,
  UndoBody,
} from "../protocol-console.ts";
import type { TrayFrame } from "../tray/index.ts";

/** What was done to frames, to be taken back. */
interface Action {
  readonly gallery: string;
  readonly kind: "assign" | "dismiss" | "feedback";
  /** As they were before. */
  readonly frames: readonly TrayFrame[];
  /** Ids of the samples that they became. */
  readonly samples: readonly string[];
}

/** Actions that can be undone, at most: those before them are final. */
const mostActions = 50;

export function trayRoutes(app: App, { store, galleries, tray, learning }: Context): void {
  const tags = ["tray"];
  const actions = new Map<string, Action>();
  const remember = (action: Action): { action: string; frames: number } => {
    const id = randomUUID();
    actions.set(id, action);
    const [oldest] = actions.keys();
    if (actions.size > mostActions && oldest !== undefined) actions.delete(oldest);
    return { action: id, frames: action.frames.length };
  };

  app.get(
    "/v1/galleries/:gallery/tray",
    {
      config: { scope: "read" },
      schema: {
        summary: "Unknown and ambiguous frames, in groups that look alike",
        description:
          "Bounded: the newest frames and the most distant of the older ones, one of those that look the same.",
        tags,
        params: GalleryParams,
        response: replies(200, TrayReply),
      },
    },
    async (request): Promise<TrayReply> => {
      const { gallery } = request.params;
      const groups = await tray.list(gallery);
      return {
        groups: groups.map(({ frames }) => ({
          frames: frames.map(({ id, time, kind, excess, candidates, revision, seen, feedback }) => ({
            ...{ id, time, kind, excess, revision, seen },
            candidates: [...candidates],
            feedback,
          })),
        })),
        dropped: tray.dropped(gallery),
      };
    },
  );

  app.get(
    "/v1/galleries/:gallery/tray/:id/image",
    {
      config: { scope: "read" },
      schema: {
        summary: "The picture of a frame of the tray",
        tags,
        params: FrameParams,
        response: replies(200, Type.String({ format: "binary" }), "image/*"),
      },
    },
    async (request, reply) => {
      await store.head(request.params.gallery);
      const { bytes, type } = tray.frame(request.params.gallery, request.params.id);
      return reply.type(type).send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    },
  );

  app.post(
    "/v1/galleries/:gallery/tray/assign",
    {
      config: { scope: "enroll" },
      schema: {
        summary: "Enroll frames of the tray in a class, which need not exist",
        description: "Frames that cannot be enrolled stay in the tray; the report says why.",
        tags,
        params: GalleryParams,
        querystring: ReasonQuery,
        body: AssignBody,
        response: replies(200, AssignReply),
      },
    },
    async (request): Promise<AssignReply> => {
      const { gallery } = request.params;
      const label = checkLabel(request.body.label);
      const ids = [...new Set(request.body.id)];
      const recognizer = await galleries.recognizer(gallery);
      // Out of the tray first: two reviewers who assign the same frame at once would both succeed.
      const frames = await tray.take(gallery, ids);
      const report = await recognizer
        .enroll(
          label,
          frames.map(({ bytes }) => bytes),
          {
            origins: frames.map(({ id }) => id),
            who: who(request),
            reason:
              request.query.reason ??
              `assign ${frames.length} ${frames.length === 1 ? "frame" : "frames"} of the tray to ${quote(label)}`,
          },
        )
        .catch(async (error: unknown) => {
          await tray.putBack(frames);
          throw error;
        });
      const refused = new Set(report.rejected.map(({ origin }) => origin));
      await tray.putBack(frames.filter(({ id }) => refused.has(id)));
      const samples = report.added.map(({ id }) => id);
      const assigned = frames.filter(({ id }) => !refused.has(id));
      learning.withdraw(gallery, assigned);
      return {
        ...remember({ gallery, kind: "assign", frames: assigned, samples }),
        report: {
          ...report,
          added: [...report.added],
          duplicates: [...report.duplicates],
          rejected: [...report.rejected],
          limit: limitReply(report.limit),
        },
      };
    },
  );

  app.post(
    "/v1/galleries/:gallery/tray/dismiss",
    {
      config: { scope: "recognize" },
      schema: {
        summary: "Take frames out of the tray",
        tags,
        params: GalleryParams,
        body: FramesBody,
        response: replies(200, ActionReply),
      },
    },
    async (request): Promise<ActionReply> => {
      const { gallery } = request.params;
      await store.head(gallery);
      const frames = await tray.take(gallery, [...new Set(request.body.id)]);
      return remember({ gallery, kind: "dismiss", frames, samples: [] });
    },
  );

  app.post(
    "/v1/galleries/:gallery/tray/feedback",
    {
      config: { scope: "recognize" },
      schema: {
        summary: "Say whether the answers to frames of the tray were right",
        tags,
        params: GalleryParams,
        body: FeedbackBody,
        response: replies(200, ActionReply),
      },
    },
    async (request): Promise<ActionReply> => {
      const { gallery } = request.params;
      const { id, verdict, reviewer } = request.body;
      await store.head(gallery);
      // A key may be shared by a shift; a token names the person.
      const name = request.caller!.kind === "person" ? who(request) : (reviewer ?? who(request));
      const feedback = { verdict, reviewer: name, time: Date.now() };
      const frames = await tray.review(gallery, [...new Set(id)], feedback);
      if (verdict === "incorrect") learning.withdraw(gallery, frames);
      return remember({ gallery, kind: "feedback", frames, samples: [] });
    },
  );

  app.post(
    "/v1/galleries/:gallery/tray/undo",
    {
      config: { scope: "recognize" },
      schema: {
        summary: "Take back what was done to frames of the tray",
        description:
          "Frames come back as they were. What an assignment enrolled is removed, for which the scope of editing " +
          "is needed too.",
        tags,
        params: GalleryParams,
        body: UndoBody,
        response: replies(200, ActionReply),
      },
    },
    async (request): Promise<ActionReply> => {
      const { gallery } = request.params;
      const action = actions.get(request.body.action);
      if (!action || action.gallery !== gallery)
        throw new ProtolineError("FRAME_NOT_FOUND", {
          expected: "an action on the tray of this gallery that is not undone yet",
          got: quote(request.body.action),
          todo: "Roll the gallery back instead.",
        });
      const { scopes, holder } = request.caller!;
      if (action.samples.length > 0 && !scopes.includes("edit") && !scopes.includes("admin"))
        throw new ProtolineError("FORBIDDEN", {
          expected: "a key with the scope edit, as samples are removed",
          got: holder,
          todo: "Use another key, or ask for one with that scope.",
        });
      actions.delete(request.body.action);
      if (action.samples.length > 0) {
        const { samples } = await store.snapshot(gallery);
        const there = new Set(samples.map(({ id }) => id));
        const gone = action.samples.filter((id) => there.has(id));
        if (gone.length > 0) {
          const change = { who: who(request), reason: "undo an assignment of the tray" };
          await store.removeSamples(gallery, gone, change);
          await galleries.changed(gallery);
        }
      }
      await tray.putBack(action.frames);
      return { action: request.body.action, frames: action.frames.length };
    },
  );
}
