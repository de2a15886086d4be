import { useState } from "react";
import type { MapReply } from "../../../src/server/protocol-console.ts";
import { useConsole } from "../context.ts";
import { useTakeRate } from "../decision.ts";
import { decimal, percent } from "../format.ts";
import { distancesOf, type Rate, ratesAt, shiftRange } from "../rates.ts";

/** Points of each curve. */
const points = 120;
/** Between these a false-reject rate can be asked for. */
const [leastRate, mostRate] = [0.005, 0.5];

/** Both rates against where known ends, and a slider that moves all limits by one factor. */
export function ThresholdView({ map }: { map: MapReply }) {
  const { t, language, can } = useConsole();
  const [shift, setShift] = useState(0);
  const [busy, take] = useTakeRate();
  const pictures = distancesOf(map.samples);
  const [low, high] = shiftRange(pictures);
  const { falseReject, falseAccept } = ratesAt(pictures, shift);
  const xs = Array.from({ length: points }, (_, i) => low + ((high - low) * i) / (points - 1));
  const x = (value: number): number => (100 * (value - low)) / (high - low);
  const curve = (rate: (at: { falseReject: Rate; falseAccept: Rate }) => Rate): string =>
    xs
      .map((value) => {
        const { hits, of: all } = rate(ratesAt(pictures, value));
        return `${x(value).toFixed(2)},${(40 - (40 * hits) / Math.max(1, all)).toFixed(2)}`;
      })
      .join(" ");
  const wanted = Math.min(mostRate, Math.max(leastRate, falseReject.hits / Math.max(1, falseReject.of)));
  const rateView = (name: string, { hits, of: all, interval }: Rate, colour: string) => (
    <div>
      <dt className={`font-medium ${colour}`}>{name}</dt>
      <dd className="text-2xl font-semibold tabular-nums">
        {percent(hits / Math.max(1, all), language, 1)}
        <span className="hint ml-2 font-normal">
          {hits} / {all}, {t.quality.interval(percent(interval[0], language), percent(interval[1], language))}
        </span>
      </dd>
    </div>
  );
  return (
    <section className="card grid grid-cols-[minmax(0,1fr)] gap-3" aria-labelledby="threshold">
      <div>
        <h2 id="threshold">{t.quality.threshold}</h2>
        <p className="hint max-w-3xl">{t.quality.thresholdLead}</p>
      </div>
      <dl className="grid gap-3 sm:grid-cols-2" aria-live="polite">
        {rateView(t.quality.falseReject, falseReject, "text-ambiguous")}
        {rateView(t.quality.falseAccept, falseAccept, "text-unknown")}
      </dl>
      <svg
        viewBox="0 0 100 40"
        preserveAspectRatio="none"
        className="h-40 w-full overflow-visible"
        aria-hidden="true"
      >
        <path d="M0 0H100M0 20H100M0 40H100" className="stroke-rule" vectorEffect="non-scaling-stroke" />
        <polyline
          points={curve((at) => at.falseReject)}
          className="fill-none stroke-ambiguous stroke-2"
          vectorEffect="non-scaling-stroke"
        />
        <polyline
          points={curve((at) => at.falseAccept)}
          className="fill-none stroke-unknown stroke-2"
          vectorEffect="non-scaling-stroke"
        />
        <path
          d={`M${x(0)} 0V40`}
          className="stroke-quiet"
          strokeDasharray="4 4"
          vectorEffect="non-scaling-stroke"
        />
        <path d={`M${x(shift)} 0V40`} className="stroke-accent stroke-2" vectorEffect="non-scaling-stroke" />
      </svg>
      <label className="flex items-center gap-3">
        <span className="sr-only">{t.quality.slider}</span>
        <span className="hint" aria-hidden="true">
          {t.quality.narrower}
        </span>
        <input
          type="range"
          className="flex-1 accent-accent"
          min={low}
          max={high}
          step={(high - low) / 400}
          value={shift}
          onChange={(event) => setShift(event.target.valueAsNumber)}
        />
        <span className="hint" aria-hidden="true">
          {t.quality.wider}
        </span>
        <output className="tabular-nums">{t.quality.times(decimal(Math.exp(shift), language, 2))}</output>
      </label>
      <div className="flex flex-wrap gap-2">
        <button type="button" className="button small" onClick={() => setShift(0)}>
          {t.quality.now}
        </button>
        {can("edit") && (
          <button
            type="button"
            className="button small"
            disabled={busy || shift === 0}
            onClick={() => void take(wanted).then(() => setShift(0))}
          >
            {t.quality.take(percent(wanted, language, 1))}
          </button>
        )}
      </div>
    </section>
  );
}
