import { condense, corners } from "./curve.ts";
import { html, type Markup } from "./markup.ts";
import { figure, folded, table, tiles } from "./parts.ts";
import { linePlot, type Point, type Series } from "./plots/line-plot.ts";
import type { Run, StepLine } from "./run.ts";
import { numberText, percentText } from "./scale.ts";
import type { Words } from "./words.ts";

/** Steps at the end whose mean is told: one alone says little. */
const lastSteps = 100;

/** A training run: its figures, its curves, its config. */
export function runSection(words: Words, { name, config, steps, validations }: Run): Markup {
  const points = (of: (line: StepLine) => number | undefined) =>
    steps.flatMap((line) => {
      const y = of(line);
      return y === undefined ? [] : [{ x: line.step, y }];
    });
  const validated = (
    of: (scores: { accuracy: number; loss: number; ci95: number | null }) => Omit<Point, "x">,
  ) => validations.map(({ step, validation }) => ({ x: step, ...of(validation) }));
  const times = steps.map(({ ms }) => ms).sort((a, b) => a - b);
  const [usual, longest] = [times[Math.floor(times.length / 2)] ?? 0, times.at(-1) ?? 0];
  const plots = [
    {
      title: words.loss,
      yLabel: words.loss,
      training: condense(points(({ loss }) => loss)),
      validation: validated(({ loss }) => ({ y: loss })),
    },
    {
      title: words.accuracy,
      yLabel: words.accuracyPercent,
      training: condense(points(({ accuracy }) => 100 * accuracy)),
      validation: validated(({ accuracy, ci95 }) => {
        const [y, half] = [100 * accuracy, 100 * (ci95 ?? 0)];
        return { y, low: y - half, high: y + half };
      }),
    },
    {
      title: words.rate,
      yLabel: words.rate,
      training: condense(corners(points(({ rate }) => rate)), "median"),
      yEnds: { from: 0 },
    },
    {
      title: words.norm,
      yLabel: words.norm,
      training: condense(points(({ norm }) => norm)),
      yEnds: { from: 0 },
    },
    {
      title: words.stepTime,
      yLabel: words.milliseconds,
      training: condense(
        points(({ ms }) => ms),
        "median",
      ),
      note: words.medians,
      // A machine that slept for an hour shall not hide all other steps.
      yEnds: { from: 0, ...(longest > 5 * usual && { to: 5 * usual }) },
    },
  ];
  return html`<section><h2>${words.training}: ${name}</h2>
${tiles(summary(words, { config, steps, validations }))}
<div class="figures">${plots
    .filter(({ training }) => training.length > 0)
    .map((plot) => curveFigure(words, plot))}</div>
${folded(words.config, words, config)}
</section>\n`;
}

function summary(
  words: Words,
  { config, steps, validations }: Omit<Run, "name">,
): (readonly [string, string])[] {
  const last = steps.slice(-lastSteps);
  const mean = (of: (line: StepLine) => number): number =>
    last.reduce((sum, line) => sum + of(line), 0) / last.length;
  const ms = steps.reduce((sum, line) => sum + line.ms, 0);
  const best = validations.reduce<(typeof validations)[number] | undefined>(
    (top, line) => (top && top.validation.accuracy >= line.validation.accuracy ? top : line),
    undefined,
  );
  const total = typeof config.episodes === "number" ? ` ${words.of} ${numberText(config.episodes, 0)}` : "";
  return [
    [words.steps, `${numberText(steps.at(-1)?.step ?? 0, 0)}${total}`],
    [
      words.lastLoss.replace("{n}", String(last.length)),
      numberText(
        mean(({ loss }) => loss),
        4,
      ),
    ],
    [words.lastAccuracy.replace("{n}", String(last.length)), percentText(mean(({ accuracy }) => accuracy))],
    ...(best
      ? [
          [
            words.bestValidation,
            `${percentText(best.validation.accuracy)} ± ${percentText(best.validation.ci95)} (${words.afterStep} ${best.step})`,
          ] as const,
        ]
      : []),
    [words.perSecond, numberText((1000 * steps.length) / ms, 2)],
    [words.timeInSteps, timeText(ms)],
  ];
}

/** `1:02:03` */
function timeText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

function curveFigure(
  words: Words,
  {
    title,
    yLabel,
    training,
    validation = [],
    note,
    yEnds = {},
  }: {
    readonly title: string;
    readonly yLabel: string;
    readonly training: readonly Point[];
    readonly validation?: readonly Point[];
    readonly note?: string;
    readonly yEnds?: { readonly from?: number; readonly to?: number };
  },
): Markup {
  const series: Series[] = [
    { name: words.trainingSeries, points: training },
    ...(validation.length > 0 ? [{ name: words.validationSeries, points: validation, dots: true }] : []),
  ];
  const banded = training.some(({ low }) => low !== undefined);
  const remark = note ?? (series.length === 1 && banded ? words.trainingSeries : undefined);
  // Twenty rows tell the course; all are in the log.
  const every = Math.ceil(training.length / 20);
  const told = (points: readonly Point[], kind: string): (readonly string[])[] =>
    points.map(({ x, y, low, high }) => [
      kind,
      numberText(Math.round(x), 0),
      numberText(y, 4),
      low === undefined || high === undefined ? "–" : `${numberText(low, 4)} … ${numberText(high, 4)}`,
    ]);
  return figure(words, {
    title,
    plot: linePlot({ title, xLabel: words.step, yLabel, series, yEnds }),
    legend: series.length > 1 ? series.map((one) => one.name) : [],
    ...(remark !== undefined && { note: remark }),
    numbers: table(
      ["", words.step, yLabel, words.band],
      [
        ...told(
          training.filter((_, i) => i % every === 0 || i === training.length - 1),
          words.training,
        ),
        ...told(validation, words.validationSeries),
      ],
    ),
  });
}
