import Type from "typebox";
import type { App } from "../context.ts";
import { answers } from "./infer.ts";

/** Health in the words of the Open Inference Protocol: as `/livez` and `/readyz`, without a key, since probes have none. */
export function inferHealthRoutes(app: App): void {
  const tags = ["open inference"];
  const config = { rateLimit: false as const, scope: null };

  app.get(
    "/v2/health/live",
    {
      config,
      schema: {
        summary: "The process answers",
        tags,
        response: answers(Type.Object({ live: Type.Boolean() })),
      },
    },
    async () => ({ live: true }),
  );

  app.get(
    "/v2/health/ready",
    {
      config,
      schema: {
        summary: "The model can be asked",
        tags,
        response: answers(Type.Object({ ready: Type.Boolean() })),
      },
    },
    async (_request, reply) => {
      const { statusCode } = await app.inject({ url: "/readyz" });
      return reply.code(statusCode).send({ ready: statusCode === 200 });
    },
  );
}
