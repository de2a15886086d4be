import { ProtolineError, quote } from "../../core/index.ts";
import { checkLabel, type NewSample } from "../../store/index.ts";
import { who } from "../auth.ts";
import type { App, Context } from "../context.ts";
import { replies } from "../openapi.ts";
import { GalleryParams } from "../protocol.ts";
import { MoveBody, MoveQuery, MoveReply } from "../protocol-console.ts";

export function moveRoute(app: App, { store, galleries }: Context): void {
  app.post(
    "/v1/galleries/:gallery/samples/move",
    {
      config: { scope: "edit" },
      schema: {
        summary: "Move samples to another class, which need not exist: split a class, or correct a name",
        description:
          "Two revisions: the samples are added there first and removed here then, so that none is lost on the way.",
        tags: ["classes"],
        params: GalleryParams,
        querystring: MoveQuery,
        body: MoveBody,
        response: replies(200, MoveReply),
      },
    },
    async (request): Promise<MoveReply> => {
      const { gallery } = request.params;
      const into = checkLabel(request.body.into);
      const ids = new Set(request.body.id);
      const snapshot = await store.snapshot(gallery);
      const chosen = snapshot.samples.filter(({ id }) => ids.has(id));
      const missing = [...ids].find((id) => !chosen.some((sample) => sample.id === id));
      if (missing !== undefined)
        throw new ProtolineError("SAMPLE_NOT_FOUND", {
          expected: `samples of the head revision of gallery ${quote(gallery)}`,
          got: quote(missing),
          todo: "List the samples for their ids.",
        });
      const moved = chosen.filter(({ label }) => label !== into);
      const before = snapshot.revision.number;
      if (moved.length === 0) return { before, revision: snapshot.revision };
      const samples: NewSample[] = [];
      for (const { embeddings, contentHash, origin, time, id } of moved)
        samples.push({
          ...{ label: into, embeddings, contentHash, origin, time },
          image: await store.image(gallery, id),
        });
      const reason = request.query.reason ?? `move ${moved.length} to ${quote(into)}`;
      const change = { who: who(request), reason };
      await store.addSamples(gallery, samples, {
        ...change,
        modelHash: snapshot.modelHash,
        allowOtherClass: true,
      });
      // Under a refresh policy that lets samples wait, they would be in neither class.
      await store.publish(gallery, change);
      const revision = await store.removeSamples(
        gallery,
        moved.map(({ id }) => id),
        change,
      );
      await galleries.changed(gallery);
      return { before, revision };
    },
  );
}
