import Type from "typebox";
import type { App, Context } from "../context.ts";
import { replies } from "../openapi.ts";
import { ReadyReply, VersionReply } from "../protocol.ts";
import { within } from "../recognizing.ts";

/** Health for orchestrators and the version for people: without a key, and without counting against a limit. */
export function systemRoutes(app: App, { store, encoder, version, limits }: Context): void {
  const tags = ["system"];
  const config = { rateLimit: false as const, scope: null };

  // One embedding of a black picture: proves that the model runs, and makes the first recognition as fast as the next.
  const { preprocess } = encoder.manifest;
  const [height, width] = preprocess.size;
  let model = "is loading";
  app.addHook("onReady", async () => {
    const black = new Float32Array((preprocess.channels === "gray" ? 1 : 3) * height * width);
    encoder.embed([black]).then(
      () => {
        model = "ok";
      },
      (error: unknown) => {
        model = "does not run";
        app.log.error({ err: error }, "the model does not run");
      },
    );
  });

  // A store that goes away later leaves the server ready: it recognizes from the galleries that it has open, and all
  // servers of that store would be taken out at once.
  let answered = false;

  // Told on connections that are still open: who balances load should send nothing new here.
  let stopping = false;
  app.addHook("preClose", async () => {
    stopping = true;
  });

  app.get(
    "/livez",
    {
      config,
      schema: {
        summary: "The process answers",
        tags,
        response: replies(200, Type.Object({ live: Type.Boolean() })),
      },
    },
    async () => ({ live: true }),
  );

  app.get(
    "/readyz",
    {
      config,
      schema: {
        summary: "The model runs and the store has answered",
        tags,
        response: { ...replies(200, ReadyReply), ...replies(503, ReadyReply) },
      },
    },
    async (request, reply) => {
      const answers = await within(Math.min(limits.recognizeMs, 2000), store.galleries()).then(
        () => {
          answered = true;
          return "ok";
        },
        (error: unknown) => {
          request.log.error({ err: error }, "the store does not answer");
          return "down";
        },
      );
      const ready = model === "ok" && answered && !stopping;
      return reply.code(ready ? 200 : 503).send({ ready, model, store: answers, stopping });
    },
  );

  app.get(
    "/v1/version",
    {
      config,
      schema: { summary: "Versions of the server and its model", tags, response: replies(200, VersionReply) },
    },
    async () => ({
      protoline: version,
      model: {
        name: encoder.manifest.name,
        version: encoder.manifest.version,
        hash: encoder.modelHash,
        embeddingDim: encoder.embeddingDim,
      },
      store: store.driver,
    }),
  );
}

export function metricsRoute(app: App, { metrics }: Context): void {
  app.get(
    "/metrics",
    {
      config: { scope: "read" },
      schema: {
        summary: "Figures for Prometheus",
        tags: ["system"],
        response: replies(200, Type.String(), "text/plain"),
      },
    },
    async (_request, reply) =>
      reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
}
