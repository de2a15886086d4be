import { useState } from "react";
import type { RecognitionReply } from "../../../src/server/protocol.ts";
import { type Agreement, agreementOf } from "../agreement.ts";
import { of } from "../api.ts";
import { useAction, useConsole } from "../context.ts";
import type { Found } from "../files.ts";
import { decimal, percent } from "../format.ts";
import { Choose } from "./choose.tsx";

interface Part {
  readonly name: string;
  /** One a run. */
  readonly answers: readonly string[];
}

/** The same parts, photographed again: do the answers agree? One folder a run, the same file names in each. */
export function AgreementView() {
  const { t, api, gallery, language, can } = useConsole();
  const [busy, run] = useAction();
  const [progress, setProgress] = useState({ done: 0, of: 1 });
  const [result, setResult] = useState<{ runs: readonly string[]; parts: readonly Part[] } | null>(null);
  if (!can("recognize")) return null;

  const ask = async (file: File): Promise<string> => {
    const answer = await api.send<RecognitionReply>("POST", of(gallery!, "recognize"), file);
    return answer.kind === "known" ? answer.label : t.kind[answer.kind];
  };
  const start = (found: readonly Found[]): Promise<void> =>
    run(async () => {
      const runs = [...new Set(found.flatMap(({ folder }) => folder ?? []))];
      const byName = new Map<string, Map<string, File>>();
      for (const { file, folder } of found) {
        const files = byName.get(file.name) ?? new Map<string, File>();
        if (folder !== null) byName.set(file.name, files.set(folder, file));
      }
      const complete = [...byName].filter(([, files]) => files.size === runs.length);
      if (runs.length < 2 || complete.length === 0) throw new Error(t.agreement.wrong);
      const parts: Part[] = [];
      for (const [name, files] of complete) {
        const answers: string[] = [];
        for (const one of runs) answers.push(await ask(files.get(one)!));
        parts.push({ name, answers });
        setProgress({ done: parts.length, of: complete.length });
      }
      setResult({ runs, parts });
    });
  const agreement: Agreement | null = result && agreementOf(result.parts.map(({ answers }) => answers));
  const apart = result?.parts.filter(({ answers }) => new Set(answers).size > 1) ?? [];
  return (
    <section className="card grid grid-cols-[minmax(0,1fr)] gap-3" aria-labelledby="agreement">
      <div>
        <h2 id="agreement">{t.agreement.title}</h2>
        <p className="hint max-w-3xl">{t.agreement.lead}</p>
      </div>
      <div>
        <Choose folder onFound={(found) => void start(found)}>
          {t.agreement.choose}
        </Choose>
      </div>
      {busy && <progress aria-label={t.loading} value={progress.done} max={progress.of} />}
      <div role="status">
        {agreement && !busy && (
          <dl className="grid gap-3 sm:grid-cols-2">
            <div>
              <dt className="font-medium">{t.agreement.alike(result!.runs.length)}</dt>
              <dd className="text-2xl font-semibold tabular-nums">
                {agreement.alike.hits} / {agreement.alike.of}
                <span className="hint ml-2 font-normal">
                  {t.quality.interval(
                    percent(agreement.alike.interval[0], language),
                    percent(agreement.alike.interval[1], language),
                  )}
                </span>
              </dd>
            </div>
            <div>
              <dt className="font-medium">{t.agreement.kappa}</dt>
              <dd className="text-2xl font-semibold tabular-nums">
                {agreement.kappa === null ? t.agreement.noKappa : decimal(agreement.kappa, language, 2)}
                {agreement.interval && (
                  <span className="hint ml-2 font-normal">
                    {t.quality.interval(
                      decimal(agreement.interval[0], language, 2),
                      decimal(agreement.interval[1], language, 2),
                    )}
                  </span>
                )}
              </dd>
            </div>
          </dl>
        )}
      </div>
      {apart.length > 0 && !busy && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
        <section className="overflow-x-auto" tabIndex={0} aria-label={t.agreement.apart}>
          <table className="data">
            <caption className="text-left font-medium">{t.agreement.apart}</caption>
            <thead>
              <tr>
                <th scope="col">{t.agreement.part}</th>
                {result!.runs.map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {apart.map(({ name, answers }) => (
                <tr key={name}>
                  <th scope="row" className="border-t border-rule text-ink!">
                    {name}
                  </th>
                  {answers.map((answer, i) => (
                    <td key={result!.runs[i]}>{answer}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </section>
  );
}
