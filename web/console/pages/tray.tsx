import { useEffect, useId, useState } from "react";
import type { ClassesReply } from "../../../src/server/protocol.ts";
import type { ActionReply, AssignReply, TrayReply } from "../../../src/server/protocol-console.ts";
import { of } from "../api.ts";
import { textOf, useAction, useConsole, useLoad } from "../context.ts";
import { clock, decimal, list } from "../format.ts";
import { Picture } from "../parts/picture.tsx";
import { keepReviewer, keptReviewer } from "../preferences.ts";

type Frame = TrayReply["groups"][number]["frames"][number];
const verdicts = ["correct", "incorrect", "inconclusive"] as const;

/** Milliseconds between two looks at the tray while the page is open. */
const period = 4000;

export function TrayPage() {
  const { t, api, gallery, changes, can, me } = useConsole();
  const [reviewer, setReviewer] = useState(keptReviewer);
  const { value, error, reload } = useLoad(async () => {
    if (gallery === null) return { groups: [], dropped: 0, labels: [] };
    const [tray, { classes }] = await Promise.all([
      api.get<TrayReply>(of(gallery, "tray")),
      api.get<ClassesReply>(of(gallery, "classes")),
    ]);
    return { ...tray, labels: classes.map(({ label }) => label) };
  }, [gallery, changes]);
  useEffect(() => {
    // Not while a name is typed: groups may change, and the field with them.
    const typing = (): boolean => document.activeElement?.closest("form") !== null;
    const timer = setInterval(() => document.hidden || typing() || reload(), period);
    return () => clearInterval(timer);
  }, [reload]);

  if (!value)
    return (
      <p role={error === undefined ? undefined : "alert"}>
        {error === undefined ? t.loading : textOf(error, t)}
      </p>
    );
  return (
    <>
      <div className="mb-6 flex flex-wrap items-end justify-between gap-4">
        <div>
          <h1>{t.pages.tray}</h1>
          <p className="hint max-w-xl">{t.tray.lead}</p>
          {value.dropped > 0 && <p className="hint">{t.tray.dropped(value.dropped)}</p>}
        </div>
        {can("recognize") && me.kind !== "person" && (
          <label className="grid gap-1">
            <span className="hint">{t.tray.reviewer}</span>
            <input
              className="field"
              value={reviewer}
              maxLength={64}
              placeholder={me.name}
              autoComplete="name"
              onChange={(event) => {
                setReviewer(event.target.value);
                keepReviewer(event.target.value.trim());
              }}
            />
          </label>
        )}
      </div>
      {value.groups.length === 0 && (
        <div className="card grid gap-1 py-10 text-center">
          <p className="text-lg font-medium">{t.tray.empty}</p>
          <p className="hint">{t.tray.emptyHint}</p>
        </div>
      )}
      <ul className="grid gap-4">
        {value.groups.map(({ frames }) => (
          <li key={frames.map(({ id }) => id).sort()[0]}>
            <Group frames={frames} labels={value.labels} reviewer={reviewer.trim()} />
          </li>
        ))}
      </ul>
    </>
  );
}

interface GroupProps {
  readonly frames: readonly Frame[];
  readonly labels: readonly string[];
  readonly reviewer: string;
}

/** Frames that look alike; all of them are chosen until some are taken out. */
function Group({ frames, labels, reviewer }: GroupProps) {
  const { t, api, gallery, language, can, changed, say } = useConsole();
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [label, setLabel] = useState("");
  const [busy, run] = useAction();
  const names = useId();
  const id = frames.map((frame) => frame.id).filter((frame) => !left.has(frame));
  const path = (what: string): string => of(gallery!, "tray", what);
  const undoOf = (action: string) => async (): Promise<void> => {
    await api.send("POST", path("undo"), { action });
  };
  const act = (work: () => Promise<void>): Promise<void> => run(() => work().finally(changed));

  return (
    <section className="card grid gap-3" aria-label={t.tray.cluster(frames.length)}>
      <div className="flex flex-wrap items-center justify-between gap-2">
        <h2>{frames.length > 1 ? t.tray.cluster(frames.length) : t.count.frames(1)}</h2>
        {can("recognize") && (
          <div className="flex flex-wrap items-center gap-2">
            <span className="hint">{t.tray.feedback}</span>
            {verdicts.map((verdict) => (
              <button
                key={verdict}
                type="button"
                className="button small"
                disabled={busy || id.length === 0}
                onClick={() =>
                  act(async () => {
                    const body = { id, verdict, ...(reviewer && { reviewer }) };
                    const { action } = await api.send<ActionReply>("POST", path("feedback"), body);
                    say(t.tray.saved, undoOf(action));
                  })
                }
              >
                {t.tray.verdict[verdict]}
              </button>
            ))}
          </div>
        )}
      </div>
      <ul className="grid grid-cols-[repeat(auto-fill,minmax(8rem,1fr))] gap-3">
        {frames.map((frame) => {
          const { time, kind, candidates, seen, feedback } = frame;
          const [nearest] = candidates;
          const picture = (
            <Picture
              path={of(gallery!, "tray", frame.id, "image")}
              alt={t.kind[kind]}
              className={`aspect-square w-full rounded-md border-3 bg-raised object-cover ${kind === "unknown" ? "border-unknown" : "border-ambiguous"}`}
            />
          );
          return (
            <li key={frame.id} className="text-sm">
              {can("recognize") ? (
                <label className="relative block cursor-pointer">
                  <input
                    type="checkbox"
                    className="absolute top-2 left-2 size-5 accent-accent"
                    aria-label={t.tray.select(clock(time, language))}
                    checked={!left.has(frame.id)}
                    onChange={() => {
                      const next = new Set(left);
                      if (!next.delete(frame.id)) next.add(frame.id);
                      setLeft(next);
                    }}
                  />
                  {picture}
                </label>
              ) : (
                picture
              )}
              <p className="hint">
                {list([clock(time, language), ...(seen > 1 ? [t.tray.seen(seen)] : [])], language)}
              </p>
              {nearest && (
                <p className="hint">{t.tray.nearest(nearest.label, decimal(nearest.distance, language))}</p>
              )}
              {feedback && (
                <p className="font-medium">
                  {t.tray.reviewed(t.tray.verdict[feedback.verdict], feedback.reviewer)}
                </p>
              )}
            </li>
          );
        })}
      </ul>
      {can("recognize") && (
        <form
          className="flex flex-wrap items-end gap-2 border-t border-rule pt-3"
          onSubmit={(event) => {
            event.preventDefault();
            void act(async () => {
              const {
                action,
                report,
                frames: n,
              } = await api.send<AssignReply>("POST", path("assign"), {
                id,
                label: label.trim(),
              });
              const [first] = report.rejected;
              const why = first && (t.errors[first.code as keyof typeof t.errors] ?? first.message);
              say(
                [
                  t.tray.assigned(n, report.label),
                  ...(why ? [t.add.notTaken(report.rejected.length, why)] : []),
                ].join(" "),
                can("edit") ? undoOf(action) : undefined,
              );
            });
          }}
        >
          {can("enroll") && (
            <>
              <label className="grid min-w-48 flex-1 gap-1">
                <span className="hint">{t.tray.assign}</span>
                <input
                  className="field"
                  required
                  value={label}
                  list={names}
                  autoComplete="off"
                  aria-label={t.tray.assignTo}
                  onChange={(event) => setLabel(event.target.value)}
                />
                <datalist id={names}>
                  {labels.map((name) => (
                    <option key={name} value={name} />
                  ))}
                </datalist>
              </label>
              <button type="submit" className="button primary" disabled={busy || id.length === 0}>
                {t.tray.assignButton(id.length)}
              </button>
            </>
          )}
          <button
            type="button"
            className="button"
            disabled={busy || id.length === 0}
            onClick={() =>
              act(async () => {
                const { action, frames: n } = await api.send<ActionReply>("POST", path("dismiss"), { id });
                say(t.tray.dismissed(n), undoOf(action));
              })
            }
          >
            {t.tray.dismiss}
          </button>
        </form>
      )}
    </section>
  );
}
