import { type FormEvent, useState } from "react";
import type { GalleryReply, RevisionReply } from "../../../src/server/protocol.ts";
import type { CandidateReply } from "../../../src/server/protocol-candidate.ts";
import { of } from "../api.ts";
import { useAction, useConsole } from "../context.ts";
import { rollBack } from "../enroll.ts";
import { Dialog } from "./dialog.tsx";

interface PromoteProps {
  readonly candidate: CandidateReply;
  onClose(): void;
}

/** Asks once more before the candidate answers the line, and says what speaks against it. */
export function PromoteDialog({ candidate: { worse, shadow }, onClose }: PromoteProps) {
  const { t, api, gallery, changed, say } = useConsole();
  const [busy, run] = useAction();
  const [reason, setReason] = useState("");
  const words = t.candidate;
  const warnings = [
    ...(worse ? [words.worseBeyond] : []),
    ...(worse === null ? [words.uncompared] : []),
    ...((shadow?.frames ?? 0) === 0 ? [words.untried] : []),
  ];
  const headOf = async (name: string): Promise<number | null> => {
    const { galleries } = await api.get<{ galleries: GalleryReply[] }>("v1/galleries");
    return galleries.find((one) => one.name === name)?.head.number ?? null;
  };

  const promote = (event: FormEvent): void => {
    event.preventDefault();
    void run(async () => {
      // Held-out pictures go along to another model, and come back with it.
      const heldOut = `${gallery}.holdout`;
      const before = await headOf(heldOut);
      const query = reason.trim() === "" ? "" : `?reason=${encodeURIComponent(reason.trim())}`;
      const { number, parent } = await api.send<RevisionReply>(
        "POST",
        `${of(gallery!, "candidate", "promote")}${query}`,
      );
      const after = await headOf(heldOut);
      onClose();
      await changed();
      say(words.promoted(number), async () => {
        await rollBack(api, gallery!, { to: parent ?? 0, from: number, late: t.undoLate });
        if (before !== null && after !== null && before !== after)
          await rollBack(api, heldOut, { to: before, from: after, late: t.undoLate });
      });
    });
  };
  return (
    <Dialog title={words.promoteTitle} onClose={onClose}>
      <form className="grid gap-4" onSubmit={promote}>
        {warnings.length > 0 && (
          <ul className="grid gap-1 border-l-4 border-unknown pl-3 font-medium text-unknown">
            {warnings.map((warning) => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        )}
        <p>{words.promoteHint}</p>
        <label className="grid gap-1">
          <span className="hint">{words.reason}</span>
          <input
            className="field"
            value={reason}
            maxLength={1000}
            autoComplete="off"
            onChange={(event) => setReason(event.target.value)}
          />
        </label>
        <button type="submit" className={`button ${worse ? "danger" : "primary"}`} disabled={busy}>
          {worse ? words.promoteWorse : words.promoteDo}
        </button>
      </form>
    </Dialog>
  );
}
