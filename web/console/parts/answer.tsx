import type { RecognitionReply } from "../../../src/server/protocol.ts";
import { useConsole } from "../context.ts";
import { decimal, percent } from "../format.ts";
import type { Answered } from "../live-loop.ts";
import { SamplePicture } from "./picture.tsx";

/** Whole class names, as the style sheet is made of what stands in the source. */
export const kindColour = {
  known: "border-known text-known",
  unknown: "border-unknown text-unknown",
  ambiguous: "border-ambiguous text-ambiguous",
} as const satisfies Record<RecognitionReply["kind"], string>;

/** The answer for one frame, and why. */
export function AnswerView({ answered: { answer, trip } }: { answered: Answered }) {
  const { t, language } = useConsole();
  const { kind, candidates, limit, nearestSupport, ms } = answer;
  // Confidence ranks the classes that are taught: of a frame that is none of them it says nothing.
  const ranked = kind !== "unknown";
  const milliseconds = (value: number): string => t.live.milliseconds(decimal(value, language, 1));
  return (
    <section className="card grid gap-4" aria-label={t.kind[kind]}>
      <div>
        <p className={`mark ${kindColour[kind]}`}>{t.kind[kind]}</p>
        <p className={`mt-1 text-3xl font-semibold wrap-anywhere ${kindColour[kind]}`}>
          {kind === "known"
            ? answer.label
            : kind === "ambiguous"
              ? candidates
                  .slice(0, 2)
                  .map(({ label }) => label)
                  .join(" / ")
              : t.kind.unknown}
        </p>
        {kind === "unknown" && limit.threshold !== null && (
          <p className="mt-1 wrap-anywhere">
            {t.live.farther(
              limit.label,
              decimal(limit.threshold, language),
              decimal(limit.distance / limit.threshold, language, 1),
            )}
          </p>
        )}
        {limit.source === "none" && <p className="hint mt-1">{t.limit.none}</p>}
      </div>
      <table className="data">
        <caption className="sr-only">{t.live.candidates}</caption>
        <thead>
          <tr>
            <th scope="col">{t.live.candidates}</th>
            {ranked && <th scope="col">{t.live.confidence}</th>}
            <th scope="col">{t.live.distance}</th>
          </tr>
        </thead>
        <tbody>
          {candidates.map(({ label, confidence, distance, threshold }) => (
            <tr key={label}>
              <td className="wrap-anywhere">{label}</td>
              {ranked && (
                <td>
                  {percent(confidence, language)}
                  <span className="mt-1 block h-1.5 rounded-full bg-raised" aria-hidden="true">
                    <span
                      className="block h-full rounded-full bg-accent"
                      style={{ width: `${100 * confidence}%` }}
                    />
                  </span>
                </td>
              )}
              <td className={threshold !== null && distance > threshold ? "text-unknown" : ""}>
                {decimal(distance, language)}
                {threshold !== null && (
                  <span className="hint block">{t.live.threshold(decimal(threshold, language))}</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <div>
        <h2 className="mb-2 text-base">{t.live.why}</h2>
        <ul className="flex flex-wrap gap-3">
          {nearestSupport.map(({ id, label, origin, distance }) => (
            <li key={id} className="grid w-24 gap-1 text-sm">
              <SamplePicture
                id={id}
                alt={`${label}, ${origin}`}
                className="aspect-square w-full rounded-md bg-raised object-cover"
              />
              <span className="truncate" title={label}>
                {label}
              </span>
              <span className="hint tabular-nums">{decimal(distance, language)}</span>
            </li>
          ))}
        </ul>
      </div>
      <dl aria-label={t.live.times} className="flex flex-wrap gap-x-4 gap-y-1 text-sm tabular-nums">
        {(["decode", "queue", "embed", "match", "total"] as const).map((stage) => (
          <div key={stage} className="flex gap-1">
            <dt className="text-quiet">{t.live.stage[stage]}</dt>
            <dd>{milliseconds(ms[stage])}</dd>
          </div>
        ))}
        {trip !== null && (
          <div className="flex gap-1">
            <dt className="text-quiet">{t.live.stage.trip}</dt>
            <dd>{milliseconds(trip)}</dd>
          </div>
        )}
      </dl>
    </section>
  );
}
