import type { QualityReply } from "../../../src/server/protocol.ts";
import type { MapReply } from "../../../src/server/protocol-console.ts";
import { of } from "../api.ts";
import { textOf, useConsole, useLoad } from "../context.ts";
import { percent } from "../format.ts";
import { AgreementView } from "../parts/agreement-view.tsx";
import { ClassAdvice } from "../parts/class-advice.tsx";
import { ConfusionMatrix } from "../parts/confusion-matrix.tsx";
import { EmbeddingMap } from "../parts/embedding-map.tsx";
import { ExpectedRates } from "../parts/expected-rates.tsx";
import { ThresholdView } from "../parts/threshold-view.tsx";
import { verdictColour } from "./gallery.tsx";

type ClassQuality = QualityReply["classes"][number];

/** Pictures of a class from which its figures are firm. */
const firm = 10;

export function QualityPage() {
  const { t, api, gallery, changes } = useConsole();
  const { value, error } = useLoad(async () => {
    if (gallery === null) return null;
    const [quality, map] = await Promise.all([
      api.get<QualityReply>(`${of(gallery, "quality")}?expected=false`),
      api.get<MapReply>(of(gallery, "map")),
    ]);
    return { quality, map };
  }, [gallery, changes]);
  if (value === undefined)
    return error === undefined ? <p>{t.loading}</p> : <p role="alert">{textOf(error, t)}</p>;
  const tried = value?.map.samples.some(({ leftOut }) => leftOut !== null) ?? false;
  return (
    <>
      <h1>{t.pages.quality}</h1>
      <p className="hint mb-6">{t.quality.lead}</p>
      {!value || !tried ? (
        <p className="card">{t.quality.empty}</p>
      ) : (
        <div className="grid grid-cols-[minmax(0,1fr)] gap-6">
          <ExpectedRates revision={value.map.revision} stated={value.map.falseRejectRate} />
          <ClassTable classes={value.quality.classes} samples={value.map.samples} />
          <ThresholdView map={value.map} />
          <ConfusionMatrix map={value.map} />
          <EmbeddingMap key={value.map.revision} map={value.map} />
          <AgreementView />
        </div>
      )}
    </>
  );
}

interface ClassTableProps {
  readonly classes: readonly ClassQuality[];
  readonly samples: MapReply["samples"];
}

function ClassTable({ classes, samples }: ClassTableProps) {
  const { t, language } = useConsole();
  const rate = ({ hits, of: all, interval: [low, high] }: ClassQuality["right"]) => (
    <>
      {hits} / {all}
      <span className="hint block whitespace-nowrap">
        {t.quality.interval(percent(low, language), percent(high, language))}
      </span>
    </>
  );
  const todo = ({ verdict, pictures, confusable, unknown }: ClassQuality): string | null => {
    if (verdict === "good") return null;
    if (confusable && confusable.label !== "")
      return t.quality.todo.confusable(confusable.label, confusable.pictures);
    if (pictures < firm) return t.quality.todo.more;
    return unknown.hits > 0 ? t.quality.todo.unknown : null;
  };
  return (
    <div className="card">
      <h2 id="classes" className="mb-2">
        {t.quality.table}
      </h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <section className="relative overflow-x-auto" tabIndex={0} aria-labelledby="classes">
        <table className="data min-w-2xl">
          <thead>
            <tr>
              <th scope="col">{t.add.label}</th>
              <th scope="col">{t.quality.pictures}</th>
              <th scope="col">{t.quality.right}</th>
              <th scope="col">{t.quality.unknown}</th>
              <th scope="col">{t.quality.confidence}</th>
              <th scope="col">{t.quality.verdict}</th>
            </tr>
          </thead>
          <tbody>
            {classes.map((it) => (
              <tr key={it.label} className="align-top">
                <th scope="row" className="max-w-60 min-w-28 border-t border-rule text-ink! wrap-break-word">
                  {it.label}
                </th>
                <td>{it.pictures}</td>
                <td>{rate(it.right)}</td>
                <td>{rate(it.unknown)}</td>
                <td>{percent(it.meanConfidence, language)}</td>
                <td>
                  <span className={`mark ${verdictColour[it.verdict]}`}>
                    {t.quality.verdicts[it.verdict]}
                  </span>
                  {todo(it) !== null && <span className="hint mt-1 block max-w-80">{todo(it)}</span>}
                  <ClassAdvice samples={samples.filter(({ label }) => label === it.label)} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </div>
  );
}
