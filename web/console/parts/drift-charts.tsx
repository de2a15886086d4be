import type { DriftReply } from "../../../src/server/protocol-monitor.ts";
import { colourOf } from "../colour.ts";
import { useConsole } from "../context.ts";
import { decimal, percent } from "../format.ts";
import type { Language } from "../words/index.ts";

type Window = DriftReply["judged"][number];
type Summary = NonNullable<DriftReply["reference"]["summary"]>;

/** What is shown of a window, and how its figure is written. */
const measures = {
  unknownRate: (value: number, language: Language) => percent(value, language, 1),
  medianDistance: (value: number, language: Language) => decimal(value, language, 3),
  meanConfidence: (value: number, language: Language) => percent(value, language, 1),
} as const;
type Measure = keyof typeof measures;

interface ChartsProps {
  readonly windows: readonly Window[];
  readonly reference: Summary | null;
}

/** Figures and class mix, window by window; what alarmed is marked. */
export function DriftCharts({ windows, reference }: ChartsProps) {
  const { t } = useConsole();
  return (
    <section className="card grid grid-cols-[minmax(0,1fr)] gap-4" aria-label={t.drift.overTime}>
      <div>
        <h2>{t.drift.overTime}</h2>
        <p className="hint">{t.drift.overTimeLead}</p>
      </div>
      <div className="grid grid-cols-[minmax(0,1fr)] gap-x-6 gap-y-4 lg:grid-cols-3">
        {(Object.keys(measures) as Measure[]).map((measure) => (
          <Trend key={measure} {...{ measure, windows, reference }} />
        ))}
      </div>
      <Mix {...{ windows, reference }} />
    </section>
  );
}

/** One figure; the dashed line is the reference's. */
function Trend({ measure, windows, reference }: ChartsProps & { readonly measure: Measure }) {
  const { t, language } = useConsole();
  const values = windows.map((window) => window[measure]);
  const usual = reference?.[measure] ?? null;
  const told = [...values, usual].filter((value) => value !== null);
  if (told.length === 0) return null;
  // Of a share the least that is drawn in full, so that one frame of many is no tower.
  const most = Math.max(...told, measure === "medianDistance" ? 1e-6 : 0.1);
  const step = 100 / windows.length;
  const x = (i: number): number => step * (i + 0.5);
  const y = (value: number): number => 38 - (36 * value) / most;
  const points = values.flatMap((value, i) => (value === null ? [] : [[x(i), y(value)] as const]));
  const last = values.at(-1) ?? null;
  const text = (value: number | null): string => (value === null ? "–" : measures[measure](value, language));
  return (
    <figure>
      <figcaption className="flex flex-wrap items-baseline justify-between gap-x-3 text-sm">
        <span className="font-medium">{t.drift.measures[measure]}</span>
        <span className="text-quiet tabular-nums">{`${text(usual)} → ${text(last)}`}</span>
      </figcaption>
      <svg viewBox="0 0 100 40" preserveAspectRatio="none" className="mt-1 h-28 w-full" aria-hidden="true">
        {windows.map(
          ({ alarm, frame }, i) =>
            alarm && <rect key={frame} x={step * i} width={step} height="40" className="fill-unknown/20" />,
        )}
        <path d="M0 39.5H100" className="stroke-rule" vectorEffect="non-scaling-stroke" />
        {usual !== null && (
          <path
            d={`M0 ${y(usual)}H100`}
            className="stroke-quiet"
            strokeDasharray="4 4"
            vectorEffect="non-scaling-stroke"
          />
        )}
        <polyline
          points={points.map((point) => point.join()).join(" ")}
          className="fill-none stroke-accent stroke-2"
          vectorEffect="non-scaling-stroke"
        />
        {/* Points as strokes without length: they stay round however wide the chart is. */}
        <path
          d={points.map(([px, py]) => `M${px} ${py}h0`).join("")}
          className="stroke-accent stroke-[7]"
          strokeLinecap="round"
          vectorEffect="non-scaling-stroke"
        />
      </svg>
    </figure>
  );
}

/** Which answers the frames were given: the reference first, then the windows. */
function Mix({ windows, reference }: ChartsProps) {
  const { t, language } = useConsole();
  const all = [...(reference ? [reference] : []), ...windows];
  const labels = [
    ...new Set(all.flatMap(({ answers }) => answers.flatMap(({ label }) => label ?? []))),
  ].sort();
  const colour = (label: string | null): string =>
    label === null ? "var(--color-quiet)" : colourOf(labels.indexOf(label));
  const order = [...labels, null];
  return (
    <figure>
      <figcaption className="text-sm font-medium">{t.drift.mix}</figcaption>
      <div className="mt-1 flex h-28 items-stretch gap-1" aria-hidden="true">
        {all.map((one, i) => {
          const frames = one.answers.reduce((sum, answer) => sum + answer.frames, 0);
          const parts = order.flatMap((label) => one.answers.find((answer) => answer.label === label) ?? []);
          const before = i === 0 && reference !== null;
          return (
            <div
              key={before ? "reference" : (one as Window).frame}
              className={`flex min-w-0 flex-1 flex-col-reverse overflow-hidden rounded-sm ${before ? "mr-2" : ""}`}
              title={parts
                .map(({ label, frames: n }) => `${label ?? t.kind.unknown} ${percent(n / frames, language)}`)
                .join(", ")}
            >
              {parts.map(({ label, frames: n }) => (
                <span key={label} style={{ height: `${(100 * n) / frames}%`, background: colour(label) }} />
              ))}
            </div>
          );
        })}
      </div>
      <ul className="mt-2 flex flex-wrap gap-x-4 gap-y-1 text-sm">
        {order.map((label) => (
          <li key={label} className="flex min-w-0 items-center gap-1.5">
            <span
              className="size-3 flex-none rounded-full"
              style={{ background: colour(label) }}
              aria-hidden="true"
            />
            <span className="wrap-anywhere">{label ?? t.kind.unknown}</span>
          </li>
        ))}
      </ul>
    </figure>
  );
}
