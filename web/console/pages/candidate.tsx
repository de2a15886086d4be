import { useEffect, useState } from "react";
import type { CandidateReply } from "../../../src/server/protocol-candidate.ts";
import type { CandidatesReply } from "../../../src/server/protocol-console.ts";
import { ApiError, of } from "../api.ts";
import { textOf, useAction, useConsole, useLoad } from "../context.ts";
import { dateTime, decimal, list, percent } from "../format.ts";
import { CandidateComparison } from "../parts/candidate-comparison.tsx";
import { CandidateForm } from "../parts/candidate-form.tsx";
import { CandidateShadow } from "../parts/candidate-shadow.tsx";
import { PromoteDialog } from "../parts/promote-dialog.tsx";

/** Milliseconds between two looks while it is made, and otherwise: somebody else, or the server, may start one. */
const [soon, later] = [700, 2500];

export function CandidatePage() {
  const { t, api, gallery, galleries, changes, can, changed } = useConsole();
  const { value, error, reload } = useLoad(async () => {
    if (gallery === null) return null;
    const { candidates, ...server } = await api.get<CandidatesReply>("v1/candidates");
    const there = candidates.some((one) => one.gallery === gallery);
    return { server, candidate: there ? await lookAt(gallery) : null };
  }, [gallery, changes]);
  async function lookAt(name: string): Promise<CandidateReply | null> {
    try {
      return await api.get<CandidateReply>(of(name, "candidate"));
    } catch (gone) {
      // Somebody promoted it or gave it up between the two questions.
      if (gone instanceof ApiError && gone.code === "CANDIDATE_NOT_FOUND") return null;
      throw gone;
    }
  }
  const phase = value?.candidate?.phase;
  const made = phase === undefined || phase === "shadow" || phase === "failed";
  useEffect(() => {
    const timer = setInterval(() => document.hidden || reload(), made ? later : soon);
    return () => clearInterval(timer);
  }, [reload, made]);

  if (value === undefined)
    return error === undefined ? <p>{t.loading}</p> : <p role="alert">{textOf(error, t)}</p>;
  const empty = (galleries.find(({ name }) => name === gallery)?.head.samples ?? 0) === 0;
  const candidate = value?.candidate ?? null;
  return (
    <>
      <h1>{t.pages.candidate}</h1>
      <p className="hint mb-6 max-w-3xl">{t.candidate.lead}</p>
      <div className="grid grid-cols-[minmax(0,1fr)] gap-6">
        {candidate && <Made candidate={candidate} />}
        {!candidate && (
          <p className="card">
            {can("edit") ? t.candidate.none : `${t.candidate.none} ${t.candidate.reader}`}
          </p>
        )}
        {value && can("edit") && (!candidate || candidate.phase === "failed") && (
          <CandidateForm {...value.server} empty={empty} again={candidate !== null} onStarted={changed} />
        )}
      </div>
    </>
  );
}

/** What there is of the decision that a reader is told. */
interface Told {
  readonly openSet: { readonly falseRejectRate: number };
  readonly ambiguity: { readonly margin: number };
}

function Made({ candidate }: { candidate: CandidateReply }) {
  const { t, api, gallery, language, can, changed, say } = useConsole();
  const [busy, run] = useAction();
  const [asking, setAsking] = useState(false);
  const { phase, progress, loss, who, since, model, revision, learned } = candidate;
  const { error, comparison, shadow, summary } = candidate;
  const words = t.candidate;
  const decision = candidate.decision as Told | null;
  const colour = phase === "failed" ? "text-unknown" : phase === "shadow" ? "text-known" : "text-accent";
  const facts = [
    who === "protoline" ? words.byItself : words.by(who),
    dateTime(since, language),
    words.isModel(model),
    ...(revision === null ? [] : [words.from(revision)]),
    ...(learned === null ? [] : [words.learned(learned.pictures)]),
    ...(learned?.keptBack ? [words.keptBack(learned.keptBack)] : []),
  ];
  const done = progress && [
    words.progress(progress.done, progress.of),
    ...(phase === "training" && loss !== null ? [words.loss(decimal(loss, language))] : []),
  ];
  return (
    <>
      <section className="card grid grid-cols-[minmax(0,1fr)] gap-3" aria-label={words.status}>
        <p role="status" className={`text-2xl font-semibold ${colour}`}>
          {words.phases[phase]}
        </p>
        {phase !== "shadow" && phase !== "failed" && (
          <label className="grid gap-1">
            <span className="hint">
              {words.phaseHint} {done && list(done, language)}
            </span>
            <progress value={progress?.done} max={progress?.of} />
          </label>
        )}
        <p className="hint wrap-anywhere">{list(facts, language)}</p>
        {error && (
          <div className="text-unknown wrap-anywhere" role="alert">
            <p className="font-medium">{t.errors[error.code as keyof typeof t.errors] ?? error.message}</p>
            <details>
              <summary className="hint">{words.server}</summary>
              <p className="hint" lang="en">
                {error.message}
              </p>
            </details>
          </div>
        )}
        {decision && (
          <details>
            <summary className="hint">{words.why}</summary>
            {summary !== null && <p className="max-w-3xl text-sm">{words.summary(summary)}</p>}
            <p className="max-w-3xl text-sm">
              {words.decided(
                percent(decision.openSet.falseRejectRate, language, 1),
                percent(decision.ambiguity.margin, language),
              )}
            </p>
          </details>
        )}
        {can("edit") && phase !== "promoting" && (
          <div className="flex flex-wrap items-center gap-3">
            {phase === "shadow" && (
              <button
                type="button"
                className="button primary"
                disabled={busy}
                onClick={() => setAsking(true)}
              >
                {words.promote}
              </button>
            )}
            <button
              type="button"
              className="button"
              disabled={busy}
              onClick={() =>
                run(async () => {
                  await api.send("DELETE", of(gallery!, "candidate"));
                  await changed();
                  say(words.givenUp);
                })
              }
            >
              {phase === "failed" ? words.putAway : words.giveUp}
            </button>
            {phase === "shadow" && (
              <p className="hint">
                {words.back}{" "}
                <a className="underline" href={`#/history/${encodeURIComponent(gallery!)}`}>
                  {t.pages.history}
                </a>
              </p>
            )}
          </div>
        )}
      </section>
      {asking && <PromoteDialog candidate={candidate} onClose={() => setAsking(false)} />}
      {comparison && <CandidateComparison comparison={comparison} />}
      {shadow && <CandidateShadow shadow={shadow} />}
    </>
  );
}
