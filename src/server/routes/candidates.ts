import type { App, Context } from "../context.ts";
import { replies } from "../openapi.ts";
import { CandidatesReply } from "../protocol-console.ts";

export function candidatesRoute(app: App, { candidates, models }: Context): void {
  app.get(
    "/v1/candidates",
    {
      config: { scope: "read" },
      schema: {
        summary: "The candidates of this server, and the models that it has",
        tags: ["candidate"],
        response: replies(200, CandidatesReply),
      },
    },
    async (): Promise<CandidatesReply> => ({
      models: [...models.names],
      learns: candidates.learns,
      candidates: candidates.all().map(([gallery, { id, who, since, model, phase }]) => ({
        ...{ gallery, id, who, since, model, phase },
      })),
    }),
  );
}
