import type { App, Context } from "../context.ts";
import { replies } from "../openapi.ts";
import type { Kept } from "../outbox/index.ts";
import { OutboxReply } from "../protocol.ts";

const entry = ({ id, gallery, label, origins, actor, time }: Kept) => ({
  ...{ id, gallery, label, origins, who: actor.who, time },
});

export function outboxRoute(app: App, { outbox }: Context): void {
  app.get(
    "/v1/outbox",
    {
      config: { scope: "read" },
      schema: {
        summary: "Enrollments that wait for the store, and those that were refused once it was back",
        description: "One that was answered with 202 and is in neither list has been made.",
        tags: ["recognition"],
        response: replies(200, OutboxReply),
      },
    },
    async (): Promise<OutboxReply> => {
      const { waiting = [], refused = [] } = outbox?.list() ?? {};
      return {
        waiting: waiting.map(entry),
        refused: refused.map((one) => ({ ...entry(one), code: one.code, message: one.message })),
      };
    },
  );
}
