import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { condense, corners } from "./curve.ts";
import { type Evaluated, type ResultRow, readEvaluations } from "./evaluation.ts";
import { html } from "./markup.ts";
import { type MonitorContent, renderMonitor } from "./monitor.ts";
import { renderReport } from "./page.ts";
import { heatMap } from "./plots/heat-map.ts";
import { binsOf } from "./plots/histogram.ts";
import { linePlot } from "./plots/line-plot.ts";
import { readRun } from "./run.ts";
import { numberText, scaleOf } from "./scale.ts";

const finite = fc.double({ min: -1e6, max: 1e6, noNaN: true });

describe("scales", () => {
  it("have round ticks that the values lie between", () => {
    fc.assert(
      fc.property(fc.array(finite, { maxLength: 20 }), (values) => {
        const { from, to, ticks, at } = scaleOf(values);
        for (const value of values) {
          expect(at(value)).toBeGreaterThanOrEqual(-1e-6);
          expect(at(value)).toBeLessThanOrEqual(1 + 1e-6);
        }
        expect(to).toBeGreaterThan(from);
        expect(ticks.length).toBeGreaterThan(1);
        expect(ticks.length).toBeLessThan(9);
      }),
    );
    expect(scaleOf([0.03, 0.97]).ticks).toHaveLength(6);
    expect(scaleOf([0, 9.9]).ticks).toEqual([0, 2, 4, 6, 8, 10]);
    expect(scaleOf([]).ticks.length).toBeGreaterThan(1);
  });

  it("tell ticks apart in few signs", () => {
    const { ticks, digits } = scaleOf([0, 1.2], {}, 5);
    expect(ticks.map((tick) => numberText(tick, digits))).toEqual([
      "0.00",
      "0.25",
      "0.50",
      "0.75",
      "1.00",
      "1.25",
    ]);
    expect(numberText(-1234567, 0)).toBe("−1\u2009234\u2009567");
    expect(numberText(1.5e-5, 4)).toBe("0.000015");
    expect(numberText(2e-7, 4)).toBe("2e−7");
    expect(numberText(Number.NaN, 2)).toBe("–");
  });
});

describe("curves", () => {
  it("are condensed to means between percentiles, all steps counted once", () => {
    const points = Array.from({ length: 1000 }, (_, x) => ({ x, y: (x * 7919) % 101 }));
    const condensed = condense(points, "mean", 10);
    expect(condensed).toHaveLength(10);
    const mean = (ys: readonly number[]) => ys.reduce((a, b) => a + b) / ys.length;
    expect(mean(condensed.map(({ y }) => y))).toBeCloseTo(mean(points.map(({ y }) => y)), 9);
    for (const { y, low, high } of condensed) {
      expect(low!).toBeLessThan(y);
      expect(high!).toBeGreaterThan(y);
    }
    const slept = points.map((point) => (point.x === 500 ? { ...point, y: 1e9 } : point));
    expect(Math.max(...condense(slept, "median", 10).map(({ y }) => y))).toBeLessThan(101);
    expect(condense(points.slice(0, 5), "mean", 10)).toEqual(points.slice(0, 5));
  });

  it("keep their corners", () => {
    const stairs = [1, 1, 1, 0.5, 0.5, 0.5, 0.25].map((y, x) => ({ x, y }));
    expect(corners(stairs).map(({ x }) => x)).toEqual([0, 2, 3, 5, 6]);
  });

  it("become bins that lose nothing", () => {
    const value = fc.record({ value: fc.double({ min: 0, max: 100, noNaN: true }), n: fc.nat(50) });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 40 }), (values) => {
        const bins = binsOf(values);
        expect(bins.reduce((sum, { n }) => sum + n, 0)).toBe(values.reduce((sum, { n }) => sum + n, 0));
        for (const { value } of values)
          expect(bins.some(({ from, to }) => from - 1e-6 <= value && value <= to + 1e-6)).toBe(true);
      }),
    );
  });
});

describe("plots", () => {
  const attribute = (svg: string, name: string): string[] =>
    [...svg.matchAll(new RegExp(` ${name}="([^"]*)"`, "g"))].map((match) => match[1]!);

  it("draw a line where its numbers are", () => {
    const { markup } = linePlot({
      title: "t",
      xLabel: "x",
      yLabel: "y",
      series: [{ name: "a", points: [0, 5, 10].map((x) => ({ x, y: x, low: x - 1, high: x + 1 })) }],
      yEnds: { from: 0, to: 10 },
    });
    const [band, line] = attribute(markup, "points").map((list) =>
      list.split(" ").map((pair) => pair.split(",").map(Number)),
    );
    // A straight line stays one: the middle lies in the middle.
    expect(line![1]![0]).toBeCloseTo((line![0]![0]! + line![2]![0]!) / 2, 1);
    expect(line![1]![1]).toBeCloseTo((line![0]![1]! + line![2]![1]!) / 2, 1);
    expect(line![2]![1]).toBeLessThan(line![0]![1]!);
    expect(band).toHaveLength(6);
    // The interval of the last point goes beyond the axis and ends there.
    expect(band![2]![1]).toBe(line![2]![1]);
  });

  it("shade a confusion matrix by shares of its rows", () => {
    const { markup } = heatMap({
      title: "t",
      labels: ["a", "b"],
      counts: [
        [3, 1],
        [0, 0],
      ],
      totals: [4, 0],
      rowLabel: "r",
      columnLabel: "c",
    });
    expect(attribute(markup, "fill-opacity")).toEqual(["0.750", "0.250", "0.000", "0.000"]);
  });
});

const row: ResultRow = {
  way: 2,
  shot: 1,
  queries: 10,
  episodes: 50,
  mean: 0.8125,
  ci95: 0.0213,
  ece: 0.04,
  balanced: 0.8125,
  balancedCi95: 0.0213,
  worst: 0.735,
  falseReject: 0.0531,
  caught: 0.6429,
  auroc: 0.91,
  aupr: 0.72,
  fpr95: 0.33,
  oscr: 0.7,
  reliability: [{ from: 0.8, to: 1, n: 1000, confidence: 0.9, accuracy: 0.8125 }],
  distribution: [
    { accuracy: 0.75, episodes: 20 },
    { accuracy: 0.85, episodes: 30 },
  ],
  perClass: [
    { label: "bolt", queries: 500, accuracy: 0.75 },
    { label: "<script>alert('nut')</script>", queries: 500, accuracy: 0.875 },
    { label: "never asked", queries: 0, accuracy: null },
  ],
  confusion: [
    [375, 125, 0],
    [63, 437, 0],
    [0, 0, 0],
  ],
};
const evaluation: Evaluated = { name: "parts", about: { model: "m & n", seed: 7 }, results: [row] };

/** The page without its style: the text a browser shows, tags as they are. */
const bodyOf = (page: string): string => page.slice(page.indexOf("<body>"));

describe("the page", () => {
  it("escapes whatever is put in", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii" }), (text) => {
        const { markup } = html`<p title="${text}">${text}</p>`;
        expect(markup.match(/[<>"]/g)).toEqual(["<", '"', '"', ">", "<", ">"]);
        expect(markup).not.toMatch(/&(?!(amp|lt|gt|quot|#39);)/);
      }),
    );
    expect(html`${"\u0000\u202ea\ud800"}`.markup).toBe("\ufffd\ufffda\ufffd");
  });

  it("holds every figure of an evaluation, and needs nothing else", () => {
    const page = renderReport({ runs: [], evaluations: [evaluation] });
    const body = bodyOf(page);
    const figures = ["81.25 % ± 2.13", "5.3 %", "64.3 %", "91.0 %", "72.0 %", "33.0 %", "70.0 %", "4.0 %"];
    for (const text of [...figures, "m &amp; n"]) expect(body).toContain(text);
    expect(body).not.toContain("hardest class");
    // Per class, calibration, episodes, confusion; one shot alone has no curve.
    expect(body.match(/<figcaption>[^<]*/g)).toEqual(
      ["Accuracy of each class", "Calibration", "Accuracy over episodes", "Confusion matrix"].map(
        (title) => `<figcaption>${title}`,
      ),
    );
    expect(body.match(/<svg [^>]*role="img" aria-label="[^"]+"/g)).toHaveLength(4);
    expect(page).not.toMatch(/<script|\bsrc=|href=|url\(|@import/);
    expect(page).toContain("prefers-color-scheme:dark");
    // Confusions, the most frequent first.
    expect(body).toMatch(
      /bolt<\/td><td>&lt;script&gt;[^/]*\/script&gt;<\/td><td class="n">125<\/td><td class="n">25\.0 %/,
    );
  });

  it("names a task of unequal classes by their sizes, with its hardest class, and draws no curve of it", () => {
    const results = [row, { ...row, shot: 40, sizes: [40, 2] }];
    const body = bodyOf(renderReport({ runs: [], evaluations: [{ ...evaluation, results }] }));
    expect(body).toContain("hardest class of a task");
    expect(body).toContain("73.5 %");
    expect(body).toContain("<h3>way 2, shot 40:2: ");
    expect(body).not.toContain("Accuracy by pictures shown");
  });

  it("compares several evaluations, in Chinese where it is asked to", () => {
    const other = { ...evaluation, name: "other", results: [row, { ...row, shot: 5, mean: 0.9 }] };
    const page = renderReport({ runs: [], evaluations: [evaluation, other], language: "zh", title: "T" });
    expect(page).toContain('<html lang="zh-Hans">');
    expect(page).toContain("<h1>T</h1>");
    expect(page).toContain("<h2>评估对比</h2>");
    expect(bodyOf(page)).toContain("other, ");
  });
});

describe("the monitor's page", () => {
  const counted = (hits: number, of: number) => ({ hits, of, interval: [0.2, 0.91] as const });
  const content: MonitorContent = {
    ...{ gallery: "line-1", model: "compact", revision: 7, time: "now", quality: [], falseRejectRate: 0.05 },
    ...{ heldOutName: "line-1.holdout", heldOut: null, drift: null },
    expected: {
      ...{ pictures: 40, classes: 2 },
      rates: [
        { stated: 0.01, falseReject: counted(0, 40), caught: counted(20, 40) },
        { stated: 0.05, falseReject: counted(3, 40), caught: counted(37, 40) },
      ],
      strangers: [
        { label: "<gear>", caught: counted(17, 20), takenBy: { label: "washer", pictures: 3 } },
        { label: "washer", caught: counted(20, 20), takenBy: null },
      ],
    },
  };

  it("says first what is to be expected, both rates in one sentence, and who lets strangers in", () => {
    const body = bodyOf(renderMonitor(content));
    expect(body).toContain(
      "Of parts never shown about 93\u00a0% would be caught (each class in turn as the stranger), of known parts about 8\u00a0% called unknown.",
    );
    expect(body.indexOf("What to expect")).toBeLessThan(body.indexOf("Quality of each class"));
    const rows = [...body.matchAll(/<tr>(.*?)<\/tr>/g)].map(([, cells]) =>
      [...cells!.matchAll(/<td[^>]*>(.*?)<\/td>/g)].map(([, cell]) => cell!.replace(/[\u00a0\u2060]/g, " ")),
    );
    expect(rows).toContainEqual(["5 %", "93 %", "37 / 40", "20– 91 %", "8 %", "3 / 40", "20– 91 %", "yes"]);
    expect(rows).toContainEqual(["1 %", "50 %", "20 / 40", "20– 91 %", "0 %", "0 / 40", "20– 91 %", "–"]);
    expect(rows).toContainEqual(["&lt;gear&gt;", "17 / 20", "20– 91 %", "washer (3)"]);
  });

  it("says what can be said of one class, of none with a second picture, and both in Chinese", () => {
    const one = {
      ...content.expected,
      rates: [{ stated: 0.05, falseReject: counted(1, 10), caught: null }],
      strangers: [],
    };
    const none = {
      pictures: 0,
      classes: 0,
      strangers: [],
      rates: [{ ...one.rates[0]!, falseReject: counted(0, 0) }],
    };
    for (const [expected, english, chinese] of [
      [one, "Of known parts about 10\u00a0% would be called unknown.", "已知零件约 10\u00a0% 会被判为未知。"],
      [none, "Nothing can be said yet", "没有类别有第二张图片"],
    ] as const) {
      const page = bodyOf(renderMonitor({ ...content, expected }));
      expect(page).toContain(english);
      expect(page).not.toContain("NaN");
      expect(page).not.toContain("Who lets strangers in");
      expect(bodyOf(renderMonitor({ ...content, expected, language: "zh" }))).toContain(chinese);
    }
  });
});

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-report-"));
});
afterAll(() => rm(folder, { recursive: true }));
const put = async (name: string, text: string): Promise<string> => {
  const path = join(folder, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, text);
  return path;
};

describe("reading", () => {
  const stepLine = (step: number) =>
    JSON.stringify({ step, loss: 1 / step, accuracy: 0.5, norm: 2, rate: 0.001, ms: 100 });
  const validation = JSON.stringify({
    step: 2,
    validation: { episodes: 9, loss: 1, accuracy: 0.75, ci95: 0.02 },
  });

  it("takes a run that is under way, its last line half written", async () => {
    await put(
      "run/config.json",
      JSON.stringify({ name: "toy", episodes: 1000, data: { size: 28, mean: [0, 1] } }),
    );
    await put("run/log.jsonl", `${stepLine(1)}\n${stepLine(2)}\n${validation}\n{"step":3,"lo`);
    const run = await readRun(join(folder, "run"));
    expect(run).toMatchObject({ name: "toy", steps: [{ step: 1 }, { step: 2 }], validations: [{ step: 2 }] });
    const body = bodyOf(renderReport({ runs: [run], evaluations: [] }));
    expect(body).toContain("2 of 1000");
    expect(body).toContain("75.00 % ± 2.00 % (after step 2)");
    expect(body).toContain("<td>data.mean</td><td>0, 1</td>");
    expect(body.match(/<figure/g)).toHaveLength(5);
  });

  it("takes a run without a step yet", async () => {
    await put("young/config.json", "{}");
    await put("young/log.jsonl", "");
    const run = await readRun(join(folder, "young"));
    expect(run.name).toBe("young");
    expect(bodyOf(renderReport({ runs: [run], evaluations: [] }))).not.toContain("NaN");
  });

  it("takes a result file of several bundles as one evaluation each", async () => {
    const { way, shot, queries, episodes, mean, ci95 } = row;
    const short = { way, shot, queries, episodes, mean, ci95 };
    const results = [
      { ...short, bundle: "a" },
      { ...short, bundle: "b" },
      { ...short, bundle: "a", shot: 5 },
    ];
    const path = await put("results.json", JSON.stringify({ seed: 3, data: { results } }));
    const read = await readEvaluations(path);
    expect(read.map(({ name, results }) => [name, results.length])).toEqual([
      ["results, a", 2],
      ["results, b", 1],
    ]);
    expect(bodyOf(renderReport({ runs: [], evaluations: read }))).toContain("81.25 % ± 2.13");
  });

  it("names what is wrong", async () => {
    const code = (promise: Promise<unknown>) =>
      promise.then(
        () => "none",
        (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
      );
    expect(await code(readRun(join(folder, "nowhere")))).toMatch(
      /^REPORT_SOURCE_NOT_FOUND: .*nowhere.config\.json/,
    );
    await put("bad/config.json", "{}");
    await put("bad/log.jsonl", `${stepLine(1)}\n{"step":"two"}\n`);
    expect(await code(readRun(join(folder, "bad")))).toMatch(/^REPORT_SOURCE_INVALID: .*line 2/);
    const read = async (text: string) => code(readEvaluations(await put("e.json", text)));
    expect(await read("{")).toMatch(/^REPORT_SOURCE_INVALID: .*JSON/);
    expect(await read('{"results":[]}')).toMatch(/^REPORT_SOURCE_INVALID: .*results/);
    expect(await read(JSON.stringify({ results: [{ ...row, confusion: [[1]] }] }))).toMatch(
      /confusion matrix/,
    );
  });
});
