import type { FastifyBaseLogger } from "fastify";
import { actingAs } from "../../audit/index.ts";
import { embeddingFor } from "../../serving/index.ts";
import type { GalleryStore } from "../../store/store.ts";
import type { Galleries } from "../galleries.ts";
import type { Metrics } from "../metrics.ts";
import { outboxFolder } from "./folder.ts";
import { createOutbox, type Outbox } from "./outbox.ts";

interface Around {
  readonly store: GalleryStore;
  readonly galleries: Galleries;
  readonly metrics: Metrics;
  readonly log: FastifyBaseLogger;
}

/** The outbox of a server: enrollments are made on behalf of who sent them, and give way to frames. */
export function openOutbox(path: string, { store, galleries, metrics, log }: Around): Outbox {
  return createOutbox({
    folder: outboxFolder(path),
    shown: path,
    reach: (gallery) => store.head(gallery),
    enroll: (kept, pictures) =>
      actingAs(kept.actor, () =>
        embeddingFor({ priority: "bulk", waited: 0 }, async () => {
          const { gallery, label, origins, actor, allowOtherClass, region, reason } = kept;
          const recognizer = await galleries.recognizer(gallery);
          const result = await recognizer.enroll(label, pictures, {
            ...{ origins, who: actor.who, allowOtherClass },
            ...(region && { region }),
            ...(reason !== null && { reason }),
          });
          metrics.enrolled(result.ms);
          metrics.revision(gallery, result.revision);
          for (const { code } of result.rejected) metrics.rejected(code);
          return result;
        }),
      ),
    onRefused: (refused) => {
      if ("error" in refused) log.error({ err: refused.error, file: refused.file }, "no file of an outbox");
      else
        log.error(
          { code: refused.code, outbox: refused.id },
          `an enrollment was refused: ${refused.message}`,
        );
    },
  });
}
