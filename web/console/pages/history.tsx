import { useState } from "react";
import type { RevisionReply } from "../../../src/server/protocol.ts";
import { of } from "../api.ts";
import { useAction, useConsole, useLoad } from "../context.ts";
import { rollBack } from "../enroll.ts";
import { dateTime, list } from "../format.ts";
import type { Words } from "../words/index.ts";

interface Diff {
  readonly added: readonly { readonly label: string }[];
  readonly removed: readonly { readonly label: string }[];
  readonly relabelled: readonly { readonly from: string; readonly to: string }[];
  readonly decisionChanged: boolean;
  readonly modelChanged: boolean;
}

function countBy<T>(items: readonly T[], key: (item: T) => string): [T, number][] {
  const groups = new Map<string, [T, number]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group[1]++;
    else groups.set(key(item), [item, 1]);
  }
  return [...groups.values()];
}

function linesOf(diff: Diff, t: Words["history"]): string[] {
  const lines = [
    ...countBy(diff.added, ({ label }) => label).map(([{ label }, n]) => t.added(n, label)),
    ...countBy(diff.removed, ({ label }) => label).map(([{ label }, n]) => t.removed(n, label)),
    ...countBy(diff.relabelled, ({ from, to }) => `${from}\n${to}`).map(([{ from, to }, n]) =>
      t.relabelled(n, from, to),
    ),
    ...(diff.decisionChanged ? [t.decision] : []),
    ...(diff.modelChanged ? [t.model] : []),
  ];
  return lines.length > 0 ? lines : [t.same];
}

export function HistoryPage() {
  const { t, api, gallery, changes, language, can, changed, say } = useConsole();
  const [busy, run] = useAction();
  const { value } = useLoad(
    async () =>
      gallery === null
        ? { revisions: [] }
        : api.get<{ revisions: RevisionReply[] }>(`${of(gallery, "revisions")}?limit=200`),
    [gallery, changes],
  );
  if (!value) return <p>{t.loading}</p>;
  const [head] = value.revisions;
  const back = (to: number): Promise<void> =>
    run(async () => {
      const revision = await api.send<RevisionReply>("POST", of(gallery!, "rollback"), { to });
      await changed();
      say(t.history.backDone(to), () =>
        rollBack(api, gallery!, { to: head!.number, from: revision.number, late: t.undoLate }),
      );
    });
  return (
    <>
      <h1>{t.pages.history}</h1>
      <p className="hint mb-6">{t.history.lead}</p>
      {value.revisions.length === 0 && <p>{t.nothing}</p>}
      <ol className="grid gap-3">
        {value.revisions.map((revision) => (
          <li key={revision.number} className="card grid gap-2 sm:grid-cols-[5rem_1fr_auto] sm:items-start">
            <p className="text-lg font-semibold tabular-nums">
              <span className="sr-only">{t.history.revision} </span>
              {revision.number}
            </p>
            <div className="min-w-0">
              <p className="font-medium wrap-anywhere">{t.history.why(revision.reason)}</p>
              <p className="hint">
                {list(
                  [
                    revision.who,
                    dateTime(revision.time, language),
                    t.count.classes(revision.classes),
                    t.count.pictures(revision.samples),
                  ],
                  language,
                )}
              </p>
              {revision.parent !== null && <Changes from={revision.parent} to={revision.number} />}
            </div>
            {revision === head ? (
              <span className="mark justify-self-start text-known">{t.history.current}</span>
            ) : (
              can("edit") && (
                <button
                  type="button"
                  className="button small justify-self-start"
                  disabled={busy}
                  onClick={() => back(revision.number)}
                >
                  {t.history.back}
                  <span className="sr-only">
                    ({t.history.revision} {revision.number})
                  </span>
                </button>
              )
            )}
          </li>
        ))}
      </ol>
    </>
  );
}

/** Asked for when it is opened. */
function Changes({ from, to }: { from: number; to: number }) {
  const { t, api, gallery } = useConsole();
  const [open, setOpen] = useState(false);
  const { value } = useLoad(
    async () => (open ? api.get<Diff>(of(gallery!, "revisions", from, "diff", to)) : null),
    [open, gallery, from, to],
  );
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="hint">{t.history.diff}</summary>
      {value && (
        <ul className="mt-1 list-disc pl-5 text-sm">
          {linesOf(value, t.history).map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
    </details>
  );
}
