import { useEffect, useState } from "react";
import type { DriftReply } from "../../../src/server/protocol-monitor.ts";
import { of } from "../api.ts";
import { textOf, useAction, useConsole, useLoad } from "../context.ts";
import { chance, dateTime, percent, statistic } from "../format.ts";
import { Dialog } from "../parts/dialog.tsx";
import { DriftCharts } from "../parts/drift-charts.tsx";
import { DriftPictures } from "../parts/drift-pictures.tsx";

type Window = DriftReply["judged"][number];
type Finding = Window["findings"][number];

/** Milliseconds between two looks while the page is open. */
const period = 4000;

export function DriftPage() {
  const { t, api, gallery, language, can } = useConsole();
  const [busy, run] = useAction();
  const [asking, setAsking] = useState(false);
  const { value, error, reload } = useLoad(
    async () => (gallery === null ? null : api.get<DriftReply>(of(gallery, "drift"))),
    [gallery],
  );
  useEffect(() => {
    const timer = setInterval(() => document.hidden || reload(), period);
    return () => clearInterval(timer);
  }, [reload]);
  if (value === undefined)
    return error === undefined ? <p>{t.loading}</p> : <p role="alert">{textOf(error, t)}</p>;
  if (value === null) return <p>{t.nothing}</p>;

  const { phase, reference, window, level, windows, alarm, unknownRate, judged } = value;
  const rate = (share: number | null): string => (share === null ? "–" : percent(share, language, 1));
  const status = phase === "learning" ? t.drift.learning : alarm ? t.drift.alarm : t.drift.calm;
  const colour = phase === "learning" ? "text-quiet" : alarm ? "text-unknown" : "text-known";
  const part = phase === "learning" ? reference : window;
  return (
    <>
      <h1>{t.pages.drift}</h1>
      <p className="hint mb-6 max-w-3xl">{t.drift.lead}</p>
      <div className="grid grid-cols-[minmax(0,1fr)] gap-6">
        <section className="card grid gap-3" aria-label={t.drift.status}>
          <p role="status" className={`text-2xl font-semibold ${colour}`}>
            {status}
          </p>
          <label className="grid gap-1">
            <span className="hint">
              {phase === "learning"
                ? t.drift.reference(part.frames, part.of)
                : t.drift.window(part.frames, part.of)}
            </span>
            <progress value={part.frames} max={part.of} />
          </label>
          <dl className="flex flex-wrap gap-x-8 gap-y-2 tabular-nums">
            <div>
              <dt className="hint">{t.drift.unknownBefore}</dt>
              <dd className="text-xl font-semibold">{rate(reference.summary?.unknownRate ?? null)}</dd>
            </div>
            <div>
              <dt className="hint">{t.drift.unknownNow}</dt>
              <dd className="text-xl font-semibold">{rate(unknownRate)}</dd>
            </div>
          </dl>
          <p className="hint max-w-3xl">{t.drift.level(percent(level, language, 1), windows)}</p>
          {can("edit") && phase === "watching" && (
            <button type="button" className="button small justify-self-start" onClick={() => setAsking(true)}>
              {t.drift.restart}
            </button>
          )}
        </section>
        {asking && (
          <Dialog title={t.drift.restartAsk} onClose={() => setAsking(false)}>
            <p className="mb-4">{t.drift.restartHint}</p>
            <button
              type="button"
              className="button primary"
              disabled={busy}
              onClick={() =>
                run(async () => {
                  await api.send("POST", of(gallery!, "drift", "reference"));
                  setAsking(false);
                  reload();
                })
              }
            >
              {t.drift.restartDo}
            </button>
          </Dialog>
        )}
        {judged.length > 0 && (
          <>
            <DriftPictures drift={value} />
            <DriftCharts windows={judged} reference={reference.summary} />
            <ol className="grid grid-cols-[minmax(0,1fr)] gap-3" aria-label={t.drift.windows}>
              {[...judged].reverse().map((one) => (
                <li key={one.frame} className="card">
                  <details open={one.alarm}>
                    <summary>
                      <span className={`mark mr-2 ${one.alarm ? "text-unknown" : "text-known"}`}>
                        {one.alarm ? t.drift.alarm : t.drift.calm}
                      </span>
                      {dateTime(one.time, language)}, {t.drift.frame(one.frame)}
                    </summary>
                    <Findings {...one} />
                  </details>
                </li>
              ))}
            </ol>
          </>
        )}
      </div>
    </>
  );
}

function Findings({ findings, level }: Pick<Window, "findings" | "level">) {
  const { t, language } = useConsole();
  const value = ({ test, statistic: found }: Finding): string =>
    test === "unknownRate" ? percent(found, language, 1) : statistic(found, language);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className="relative mt-2 overflow-x-auto" tabIndex={0} aria-label={t.drift.tested}>
      <p className="hint">{t.drift.windowLevel(chance(level, language))}</p>
      <table className="data min-w-md">
        <thead>
          <tr>
            <th scope="col">{t.drift.test}</th>
            <th scope="col">{t.drift.change}</th>
            <th scope="col">{t.drift.chance}</th>
            <th scope="col">{t.drift.frames}</th>
          </tr>
        </thead>
        <tbody>
          {findings.map((finding) => (
            <tr key={`${finding.test} ${finding.label ?? ""}`}>
              <th scope="row" className="border-t border-rule text-ink!">
                {t.drift.tests[finding.test]}
                {finding.label !== undefined && `: ${finding.label}`}
              </th>
              <td>{value(finding)}</td>
              <td className={finding.alarm ? "font-semibold text-unknown" : ""}>
                {chance(finding.adjusted, language)}
              </td>
              <td className="whitespace-nowrap">
                {finding.frames[0]} / {finding.frames[1]}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
