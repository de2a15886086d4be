import type { App } from "../context.ts";
import { replies } from "../openapi.ts";
import { MeReply } from "../protocol-console.ts";

export function meRoute(app: App): void {
  app.get(
    "/v1/me",
    {
      config: { scope: "read" },
      schema: {
        summary: "Who calls, and what he may do",
        tags: ["system"],
        response: replies(200, MeReply),
      },
    },
    async (request): Promise<MeReply> => {
      const { kind, name, scopes } = request.caller!;
      return { kind, name, scopes: [...scopes] };
    },
  );
}
