import { useState } from "react";
import { useAction, useConsole } from "../context.ts";
import { enrollSample } from "../sample.ts";

/** What an empty gallery says of itself: what this is, and two ways to begin. */
export function FirstRun({ onAdd }: { onAdd(): void }) {
  const { t, api, gallery, can, open, changed } = useConsole();
  const [busy, run] = useAction();
  const [progress, setProgress] = useState<{ label: string; done: number; of: number }>();
  const mayStart = can("enroll") && (gallery !== null || can("edit"));
  return (
    <section className="card mx-auto my-4 grid max-w-3xl gap-6 p-8" aria-labelledby="first">
      <div className="grid gap-2">
        <h1 id="first">{t.first.title}</h1>
        <p className="text-quiet">{t.first.lead}</p>
      </div>
      <ol className="grid gap-3">
        {t.first.steps.map((step, i) => (
          <li key={step} className="flex items-center gap-3">
            <span
              aria-hidden="true"
              className="grid size-8 flex-none place-items-center rounded-full bg-raised font-semibold text-accent"
            >
              {i + 1}
            </span>
            {step}
          </li>
        ))}
      </ol>
      {mayStart ? (
        <>
          <div className="flex flex-wrap gap-3">
            <button
              type="button"
              className="button primary"
              disabled={busy}
              onClick={() =>
                run(async () => {
                  const name = await enrollSample(api, gallery, (label, done, of) =>
                    setProgress({ label, done, of }),
                  );
                  await changed();
                  open("live", name, "start");
                })
              }
            >
              {t.first.sample}
            </button>
            <button type="button" className="button" disabled={busy} onClick={onAdd}>
              {t.first.own}
            </button>
          </div>
          <p className="hint">{t.first.sampleHint}</p>
          <div role="status">
            {progress && busy && (
              <>
                <p>{t.first.enrolling(progress.label)}</p>
                <progress aria-label={t.loading} value={progress.done + 0.5} max={progress.of} />
              </>
            )}
          </div>
        </>
      ) : (
        <p>{t.first.reader}</p>
      )}
    </section>
  );
}
