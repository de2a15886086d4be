import type { RevisionReply } from "../../src/server/protocol.ts";
import { of } from "./api.ts";
import { useAction, useConsole } from "./context.ts";
import { rollBack } from "./enroll.ts";
import { percent } from "./format.ts";
import type { Language } from "./words/index.ts";

/** A stated rate: a whole percentage where it is one. */
export const statedRate = (rate: number, language: Language): string =>
  percent(rate, language, Math.abs(100 * rate - Math.round(100 * rate)) < 1e-9 ? 0 : 1);

/** Takes another false-reject rate as a revision, says so and offers the way back. */
export function useTakeRate(): readonly [busy: boolean, take: (rate: number) => Promise<void>] {
  const { t, api, gallery, language, changed, say } = useConsole();
  const [busy, run] = useAction();
  const take = (falseRejectRate: number): Promise<void> =>
    run(async () => {
      const path = of(gallery!, "decision");
      const { number, parent } = await api.send<RevisionReply>("PATCH", path, { falseRejectRate });
      await changed();
      say(t.quality.taken(statedRate(falseRejectRate, language)), () =>
        rollBack(api, gallery!, { to: parent ?? 0, from: number, late: t.undoLate }),
      );
    });
  return [busy, take];
}
