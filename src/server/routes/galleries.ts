import Type from "typebox";
import { who } from "../auth.ts";
import type { App, Context } from "../context.ts";
import { replies } from "../openapi.ts";
import {
  DiffParams,
  DiffReply,
  GalleriesReply,
  GalleryParams,
  GalleryReply,
  HistoryQuery,
  HistoryReply,
  NewGalleryBody,
  ReasonQuery,
  RevisionReply,
  RollbackBody,
} from "../protocol.ts";

export function galleryRoutes(app: App, { store, encoder, galleries, tray }: Context): void {
  const tags = ["galleries"];

  app.get(
    "/v1/galleries",
    {
      config: { scope: "read" },
      schema: { summary: "All galleries", tags, response: replies(200, GalleriesReply) },
    },
    async () => ({ galleries: await store.galleries() }),
  );

  app.post(
    "/v1/galleries",
    {
      config: { scope: "edit" },
      schema: {
        summary: "Make a gallery for the model of this server",
        tags,
        body: NewGalleryBody,
        response: replies(201, GalleryReply),
      },
    },
    async (request, reply) => {
      const { name, refresh } = request.body;
      const gallery = await store.createGallery({
        name,
        model: encoder.manifest.name,
        modelHash: encoder.modelHash,
        dim: encoder.embeddingDim,
        decision: encoder.manifest.decision,
        ...(refresh && { refresh }),
        who: who(request),
      });
      return reply.code(201).send(gallery);
    },
  );

  app.get(
    "/v1/galleries/:gallery",
    {
      config: { scope: "read" },
      schema: { summary: "One gallery", tags, params: GalleryParams, response: replies(200, GalleryReply) },
    },
    async (request) => store.gallery(request.params.gallery),
  );

  app.delete(
    "/v1/galleries/:gallery",
    {
      config: { scope: "admin" },
      schema: {
        summary: "Remove a gallery with its whole history; this cannot be undone",
        tags,
        params: GalleryParams,
        response: replies(204, Type.Null()),
      },
    },
    async (request, reply) => {
      const { gallery } = request.params;
      await store.removeGallery(gallery);
      await galleries.drop(gallery);
      await tray.drop(gallery);
      request.log.warn({ gallery, who: who(request) }, "gallery removed");
      return reply.code(204).send();
    },
  );

  app.get(
    "/v1/galleries/:gallery/revisions",
    {
      config: { scope: "read" },
      schema: {
        summary: "History, newest first",
        tags,
        params: GalleryParams,
        querystring: HistoryQuery,
        response: replies(200, HistoryReply),
      },
    },
    async (request) => ({ revisions: await store.history(request.params.gallery, request.query.limit) }),
  );

  app.get(
    "/v1/galleries/:gallery/revisions/:from/diff/:to",
    {
      config: { scope: "read" },
      schema: {
        summary: "What changed between two revisions",
        tags,
        params: DiffParams,
        response: replies(200, DiffReply),
      },
    },
    async (request) => {
      const { gallery, from, to } = request.params;
      return store.diff(gallery, from, to);
    },
  );

  app.post(
    "/v1/galleries/:gallery/rollback",
    {
      config: { scope: "edit" },
      schema: {
        summary: "A new revision with the content of an old one",
        tags,
        params: GalleryParams,
        querystring: ReasonQuery,
        body: RollbackBody,
        response: replies(200, RevisionReply),
      },
    },
    async (request) => {
      const { gallery } = request.params;
      const revision = await store.rollback(gallery, request.body.to, {
        who: who(request),
        ...request.query,
      });
      await galleries.changed(gallery);
      return revision;
    },
  );

  app.post(
    "/v1/galleries/:gallery/publish",
    {
      config: { scope: "enroll" },
      schema: {
        summary: "Make the pending samples part of a new revision",
        tags,
        params: GalleryParams,
        querystring: ReasonQuery,
        response: replies(200, RevisionReply),
      },
    },
    async (request) => {
      const { gallery } = request.params;
      const revision = await store.publish(gallery, { who: who(request), ...request.query });
      await galleries.changed(gallery);
      return revision;
    },
  );
}
