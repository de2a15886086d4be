import { useId } from "react";
import { adviceText, advise, type Tried } from "../advice.ts";
import { type Group, useCheck, type Waiting } from "../candidates.ts";
import { useConsole } from "../context.ts";
import { limitSentences, paragraph } from "../limit-text.ts";
import { type Measures, marksOf, type QualityMark } from "../picture-quality.ts";

interface WaitingGroupProps {
  readonly group: Group;
  /** Of all classes. */
  readonly labels: readonly string[];
  onLabel(label: string): void;
  onRemove(id: number): void;
  onCrop(id: number): void;
}

/** Pictures of one class before they are added: each with what speaks against it, and what is to be said of all. */
export function WaitingGroup({ group, labels, onLabel, onRemove, onCrop }: WaitingGroupProps) {
  const { t, language } = useConsole();
  const names = useId();
  const { report, busy } = useCheck(group);
  const { pictures } = group;
  const measured = pictures.flatMap(({ measures }) => measures ?? []);
  const judged = new Map<Measures, QualityMark[]>(marksOf(measured).map((marks, i) => [measured[i]!, marks]));

  const missed = (index: number): boolean => report?.pictures[index]?.leftOut?.right === false;
  const marksFor = (picture: Waiting, index: number): string[] => {
    const said = report?.pictures[index];
    return [
      ...(picture.measures === null || said?.error ? [t.add.unreadable] : []),
      ...(picture.measures ? judged.get(picture.measures)! : []).map((mark) => t.add[mark]),
      ...(said?.duplicateOf
        ? [
            said.duplicateOf.label === group.label.trim()
              ? t.add.duplicate
              : t.add.otherClass(said.duplicateOf.label),
          ]
        : said && said.sameAs !== null
          ? [t.add.same]
          : []),
      ...(said?.outlier ? [t.add.outlier] : missed(index) ? [t.add.missed] : []),
    ];
  };
  const tried = pictures.flatMap(({ measures }, i): Tried[] => {
    const said = report?.pictures[i];
    const leftOut = said?.leftOut;
    // The odd one out is to be left out, not to be joined by more of its kind.
    return measures && leftOut && !said.outlier ? [{ measures, right: leftOut.right }] : [];
  });
  const advice = adviceText(advise(tried), t);
  const sentences = report
    ? [
        ...(report.leftOut ? [t.add.leftOut(report.leftOut.right, report.leftOut.of)] : []),
        ...(report.nearest
          ? [
              report.nearest.inside > 0
                ? t.add.confusable(report.nearest.label, report.nearest.inside, pictures.length)
                : t.add.nearest(report.nearest.label),
            ]
          : []),
        ...(advice === null ? [] : [advice]),
      ]
    : [];
  const marked = pictures.map(marksFor);

  return (
    <section className="grid gap-3" aria-label={group.label || t.add.label}>
      <label className="grid max-w-md gap-1">
        <span>
          {t.add.label} <span className="hint">{t.add.labelHint}</span>
        </span>
        <input
          className="field"
          value={group.label}
          list={names}
          autoComplete="off"
          onChange={(event) => onLabel(event.target.value)}
        />
        <datalist id={names}>
          {labels.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      </label>
      {pictures.length > 0 && (
        <ul className="grid grid-cols-[repeat(auto-fill,minmax(7.5rem,1fr))] gap-3">
          {pictures.map((picture, i) => (
            <li key={picture.id} className="grid content-start gap-1">
              <div
                className={`relative overflow-hidden rounded-md outline-3 ${missed(i) ? "outline-ambiguous" : "outline-transparent"}`}
              >
                <img
                  src={picture.url}
                  alt={picture.file.name}
                  className="aspect-square w-full bg-raised object-cover"
                />
                <div className="absolute inset-x-1 bottom-1 flex justify-end gap-1">
                  {picture.measures && (
                    <button
                      type="button"
                      className="button small size-8 p-0"
                      aria-label={t.add.crop(picture.file.name)}
                      title={t.crop.title}
                      onClick={() => onCrop(picture.id)}
                    >
                      <svg viewBox="0 0 16 16" className="size-4" aria-hidden="true">
                        <path d="M4 0v12h12M0 4h12v12" fill="none" stroke="currentColor" strokeWidth="1.6" />
                      </svg>
                    </button>
                  )}
                  <button
                    type="button"
                    className="button small size-8 p-0"
                    aria-label={t.add.remove(picture.file.name)}
                    title={t.add.remove(picture.file.name)}
                    onClick={() => onRemove(picture.id)}
                  >
                    <svg viewBox="0 0 16 16" className="size-4" aria-hidden="true">
                      <path d="M3 3l10 10M13 3L3 13" fill="none" stroke="currentColor" strokeWidth="1.8" />
                    </svg>
                  </button>
                </div>
              </div>
              {marked[i]!.map((mark) => (
                <span key={mark} className="mark justify-self-start text-ambiguous">
                  {mark}
                </span>
              ))}
            </li>
          ))}
        </ul>
      )}
      <div role="status" className={pictures.length > 0 ? "card bg-ground" : "hidden"}>
        <h3>{t.add.report}</h3>
        {busy && <p className="hint">{t.add.checking}</p>}
        {sentences.map((sentence) => (
          <p key={sentence}>{sentence}</p>
        ))}
        {report?.limit && (
          <p className="hint">{paragraph(limitSentences(report.limit, t, language), language)}</p>
        )}
        {report &&
          marked.every((marks) => marks.length === 0) &&
          advice === null &&
          !report.nearest?.inside && <p className="text-known">{t.add.fine}</p>}
      </div>
    </section>
  );
}
