import type { Evaluated, ResultRow } from "./evaluation.ts";
import { html, type Markup } from "./markup.ts";
import { type Cell, figure, folded, table, tiles } from "./parts.ts";
import { barPlot } from "./plots/bar-plot.ts";
import { heatMap } from "./plots/heat-map.ts";
import { binsOf, histogram } from "./plots/histogram.ts";
import { linePlot, type Series } from "./plots/line-plot.ts";
import { reliabilityPlot } from "./plots/reliability-plot.ts";
import { numberText, percentText } from "./scale.ts";
import type { Words } from "./words.ts";

/** Classes that a picture shows; the table beside it holds all. */
const shownClasses = 30;

const intervalText = ({ mean, ci95 }: ResultRow): string =>
  `${percentText(mean)} ± ${percentText(ci95).replace(/ %$/, "")}`;

/** Pictures shown of each class: `5`, or `40:2`. */
const shotText = ({ shot, sizes }: ResultRow): string | number => sizes?.join(":") ?? shot;

const measures = [
  ["ECE", "ece"],
  ["AUROC", "auroc"],
  ["AUPR", "aupr"],
  ["FPR95", "fpr95"],
  ["OSCR", "oscr"],
] as const satisfies readonly (readonly [string, keyof ResultRow])[];

/** All rows of some evaluations; the columns are those that any row has. */
export function resultsTable(words: Words, evaluations: readonly Evaluated[]): Markup {
  const rows = evaluations.flatMap(({ results }) => results);
  const had = measures.filter(([, key]) => rows.some((row) => typeof row[key] === "number"));
  const sized = rows.some(({ sizes }) => sizes !== undefined);
  const asked = (
    [
      ...(sized ? ([[words.worst, "worst"]] as const) : []),
      [words.calledUnknown, "falseReject"],
      [words.caught, "caught"],
    ] as const
  ).filter(([, key]) => rows.some((row) => typeof row[key] === "number"));
  const named = evaluations.length > 1;
  return table(
    [
      ...(named ? [words.name] : []),
      words.way,
      words.shot,
      words.queries,
      words.episodes,
      words.accuracy,
      ...asked.map(([title]) => title),
      ...had.map(([title]) => title),
    ],
    evaluations.flatMap(({ name, results }) =>
      results.map((row): readonly Cell[] => [
        ...(named ? [name] : []),
        row.way,
        shotText(row),
        row.queries,
        numberText(row.episodes, 0),
        intervalText(row),
        ...asked.map(([, key]) => percentText(row[key], 1)),
        ...had.map(([, key]) => percentText(row[key], 1)),
      ]),
    ),
  );
}

/** Accuracy over shots, a line for each evaluation and way; nothing where there is one shot alone. */
export function shotFigure(words: Words, evaluations: readonly Evaluated[]): Markup | undefined {
  const series: Series[] = evaluations.flatMap(({ name, results }) => {
    const equal = results.filter(({ sizes }) => sizes === undefined);
    return [...new Set(equal.map(({ way }) => way))].map((way) => ({
      name: `${evaluations.length > 1 ? `${name}, ` : ""}${words.way} ${way}`,
      dots: true,
      points: equal
        .filter((row) => row.way === way)
        .sort((a, b) => a.shot - b.shot)
        .map(({ shot, mean, ci95 }) => ({
          x: shot,
          y: 100 * mean,
          low: 100 * (mean - (ci95 ?? 0)),
          high: 100 * (mean + (ci95 ?? 0)),
        })),
    }));
  });
  const shots = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))];
  if (shots.length < 2) return undefined;
  return figure(words, {
    title: words.byShot,
    plot: linePlot({
      title: words.byShot,
      xLabel: words.shots,
      yLabel: words.accuracyPercent,
      series,
      xTicks: shots,
    }),
    legend: series.length > 1 ? series.map(({ name }) => name) : [],
    note: words.interval,
    numbers: resultsTable(words, evaluations),
  });
}

/** One evaluation: its table, and the pictures of each of its rows. */
export function evaluationSection(words: Words, evaluation: Evaluated): Markup {
  const { name, about, results } = evaluation;
  const { decision, ...rest } = about;
  const known = ["model", "data", "classes", "pictures", "seed"] as const;
  const told = known.flatMap((key) => {
    const value = about[key];
    return typeof value === "string" || typeof value === "number"
      ? [[words[key], typeof value === "number" ? numberText(value, 0) : value] as const]
      : [];
  });
  const further = Object.fromEntries(Object.entries(rest).filter(([key]) => !known.some((k) => k === key)));
  const shots = shotFigure(words, [evaluation]);
  return html`<section><h2>${words.evaluation}: ${name}</h2>
${tiles(told)}
${resultsTable(words, [evaluation])}
<p class="note">${words.measures}</p>
${shots && html`<div class="figures">${shots}</div>`}
${results.map((row) => rowSection(words, row))}
${decision !== undefined && folded(words.decision, words, decision)}
${Object.keys(further).length > 0 && folded(words.further, words, further)}
</section>\n`;
}

function rowSection(words: Words, row: ResultRow): Markup | undefined {
  const figures = [perClassFigure, reliabilityFigure, distributionFigure, confusionFigure].flatMap(
    (draw) => draw(words, row) ?? [],
  );
  return figures.length === 0
    ? undefined
    : html`<h3>${words.way} ${row.way}, ${words.shot} ${shotText(row)}: ${intervalText(row)}</h3><div class="figures">${figures}</div>`;
}

function perClassFigure(words: Words, { perClass = [] }: ResultRow): Markup | undefined {
  const sorted = perClass
    .flatMap(({ label, queries, accuracy }) => (accuracy === null ? [] : [{ label, queries, accuracy }]))
    .sort((a, b) => a.accuracy - b.accuracy);
  if (sorted.length === 0) return undefined;
  const title =
    sorted.length > shownClasses
      ? `${words.perClassLowest} (${shownClasses} ${words.of} ${sorted.length})`
      : words.perClass;
  return figure(words, {
    title,
    plot: barPlot({
      title,
      bars: sorted
        .slice(0, shownClasses)
        .map(({ label, accuracy }) => ({ name: label, share: accuracy, text: percentText(accuracy, 1) })),
    }),
    numbers: table(
      [words.class, words.queries, words.accuracy],
      sorted.map(({ label, queries, accuracy }) => [label, numberText(queries, 0), percentText(accuracy)]),
    ),
  });
}

function reliabilityFigure(words: Words, { reliability = [], ece }: ResultRow): Markup | undefined {
  if (reliability.length === 0) return undefined;
  const bins = reliability.map(({ from, to, n, confidence, accuracy }) => ({
    n,
    from: 100 * from,
    to: 100 * to,
    confidence: 100 * confidence,
    accuracy: 100 * accuracy,
  }));
  return figure(words, {
    title: words.calibration,
    plot: reliabilityPlot({
      title: words.calibration,
      xLabel: words.confidence,
      yLabel: words.accuracyPercent,
      bins,
    }),
    note: `${words.calibrationNote}: ${percentText(ece, 1)}`,
    numbers: table(
      [words.confidence, words.accuracyPercent, words.answers],
      bins.map(({ confidence, accuracy, n }) => [
        numberText(confidence, 1),
        numberText(accuracy, 1),
        numberText(n, 0),
      ]),
    ),
  });
}

function distributionFigure(words: Words, { distribution = [], mean }: ResultRow): Markup | undefined {
  if (distribution.length < 2) return undefined;
  const bins = binsOf(distribution.map(({ accuracy, episodes }) => ({ value: 100 * accuracy, n: episodes })));
  return figure(words, {
    title: words.distribution,
    plot: histogram({
      title: words.distribution,
      xLabel: words.accuracyPercent,
      yLabel: words.episodes,
      bins,
      mark: 100 * mean,
    }),
    note: words.distributionNote,
    numbers: table(
      [words.accuracyPercent, words.episodes],
      bins.map(({ from, to, n }) => [`${numberText(from, 1)} … ${numberText(to, 1)}`, numberText(n, 0)]),
    ),
  });
}

function confusionFigure(words: Words, { perClass = [], confusion = [] }: ResultRow): Markup | undefined {
  const mistakes = confusion.flatMap((line, i) =>
    line.flatMap((count, j) => (i !== j && count > 0 ? [{ i, j, count }] : [])),
  );
  if (confusion.length < 2 || confusion.flat().every((count) => count === 0)) return undefined;
  const wrong = perClass.map((_, c) =>
    mistakes.reduce((sum, { i, j, count }) => sum + (i === c || j === c ? count : 0), 0),
  );
  const many = perClass.length > shownClasses;
  const chosen = perClass
    .map((_, c) => c)
    .sort((a, b) => wrong[b]! - wrong[a]!)
    .slice(0, shownClasses)
    .sort((a, b) => a - b);
  const asked = confusion.map((line) => line.reduce((sum, count) => sum + count, 0));
  const most = mistakes.sort((a, b) => b.count - a.count).slice(0, 20);
  return figure(words, {
    title: words.confusion,
    wide: chosen.length > 15,
    plot: heatMap({
      title: words.confusion,
      labels: chosen.map((c) => perClass[c]!.label),
      counts: chosen.map((i) => chosen.map((j) => confusion[i]![j]!)),
      totals: chosen.map((i) => asked[i]!),
      rowLabel: words.truth,
      columnLabel: words.answered,
    }),
    ...(many && { note: `${words.confusionNote}: ${shownClasses} ${words.of} ${perClass.length}` }),
    numbers:
      most.length === 0
        ? html`<p class="note">${words.right}</p>`
        : table(
            [words.truth, words.answered, words.count, words.share],
            most.map(({ i, j, count }) => [
              perClass[i]!.label,
              perClass[j]!.label,
              numberText(count, 0),
              percentText(count / asked[i]!, 1),
            ]),
          ),
  });
}
