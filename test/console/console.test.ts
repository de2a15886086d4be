import fc from "fast-check";
import sharp, { type Sharp } from "sharp";
import { describe, expect, it } from "vitest";
import { drawPart } from "../../src/cli/demo/parts.ts";
import { createRng, stack } from "../../src/core/index.ts";
import { defaultPriors, tune } from "../../src/fewshot/index.ts";
import { wilson } from "../../src/monitor/index.ts";
import { advise, type Tried } from "../../web/console/advice.ts";
import { agreementOf } from "../../web/console/agreement.ts";
import { limitSentences, paragraph } from "../../web/console/limit-text.ts";
import { inside, principalPlane } from "../../web/console/pca.ts";
import { type Measures, marksOf, measure } from "../../web/console/picture-quality.ts";
import { distancesOf, rateOf, ratesAt, shiftRange } from "../../web/console/rates.ts";
import { vote } from "../../web/console/vote.ts";
import { chooseLanguage, wordsOf } from "../../web/console/words/index.ts";
import { reasonZh } from "../../web/console/words/reasons-zh.ts";

type Edit = (picture: Sharp) => Sharp;

async function measured(bytes: Uint8Array, edit: Edit = (picture) => picture): Promise<Measures> {
  const edited = await edit(sharp(bytes)).png().toBuffer();
  const { data, info } = await sharp(edited).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  return measure(data, info.width, info.height);
}

describe("blur and exposure", () => {
  it("are told of drawn parts, and of no picture that is as it should be", async () => {
    const rng = createRng(4);
    const parts = await Promise.all(Array.from({ length: 8 }, () => drawPart("gear", rng)));
    const plain = await Promise.all(parts.map((part) => measured(part)));
    expect(marksOf(plain).flat()).toEqual([]);
    const worse: readonly [string, Edit][] = [
      ["blurred", (picture) => picture.blur(4)],
      ["dark", (picture) => picture.linear(0.15, 0)],
      ["bright", (picture) => picture.linear(2.2, 120)],
    ];
    for (const [mark, edit] of worse)
      for (const part of parts.slice(0, 3)) {
        const marks = marksOf([...plain, await measured(part, edit)]).at(-1);
        expect(marks, mark).toContain(mark);
      }
  });

  it("are numbers for any picture", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(255),
        (w, h, value) => {
          const { sharpness, light, glare } = measure(new Uint8Array(4 * w * h).fill(value), w, h);
          expect([sharpness, light, glare].every(Number.isFinite)).toBe(true);
          expect(light).toBeCloseTo(value / 255);
        },
      ),
    );
  });
});

describe("advice", () => {
  const usual: Measures = { sharpness: 0.3, light: 0.5, glare: 0 };
  const tried = (right: number, missed: readonly Partial<Measures>[]): Tried[] => [
    ...Array.from({ length: right }, () => ({ measures: usual, right: true })),
    ...missed.map((differs) => ({ measures: { ...usual, ...differs }, right: false })),
  ];

  it("is none where each picture is recognized by the others", () => {
    expect(advise(tried(6, []))).toEqual({ kind: "none" });
  });

  it("names what the missed pictures have and the others have not", () => {
    expect(advise(tried(6, [{ glare: 0.2 }]))).toEqual({ kind: "like", pictures: 3, trait: "glare" });
    expect(advise(tried(6, [{ light: 0.2 }, { light: 0.25 }]))).toMatchObject({ trait: "dark", pictures: 4 });
    expect(advise(tried(6, [{ light: 0.9 }]))).toMatchObject({ trait: "bright" });
    expect(advise(tried(6, [{ sharpness: 0.05 }]))).toMatchObject({ trait: "blurred" });
    expect(advise(tried(6, [{}]))).toMatchObject({ trait: null });
  });

  it("is more of all where most are missed", () => {
    expect(advise(tried(1, [{ glare: 0.2 }, {}]))).toEqual({ kind: "all", pictures: 7 });
  });
});

describe("the vote", () => {
  it("is what N of the last M frames say, and nothing before", () => {
    const answers = ["a", "a", null, "b", "a"];
    expect(vote(answers, { n: 3, m: 5 })).toMatchObject({ label: "a", of: 5 });
    expect(vote(answers, { n: 3, m: 4 }).label).toBeNull();
    expect(vote([], { n: 1, m: 3 })).toMatchObject({ label: null, of: 0 });
  });

  it("never names a label with fewer than N votes among the last M", () => {
    const label = fc.option(fc.constantFrom("a", "b", "c"), { nil: null });
    fc.assert(
      fc.property(fc.array(label), fc.integer({ min: 1, max: 9 }), fc.nat(9), (answers, n, more) => {
        const named = vote(answers, { n, m: n + more }).label;
        const most = Math.max(
          0,
          ...["a", "b", "c"].map((one) => answers.slice(-n - more).filter((it) => it === one).length),
        );
        if (named === null) expect(most).toBeLessThan(n);
        else expect(answers.slice(-n - more).filter((it) => it === named).length).toBe(most);
      }),
    );
  });
});

describe("rates", () => {
  it("have the interval that the server gives", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(200), (a, b) => {
        const [hits, of] = [Math.min(a, b), Math.max(a, b)];
        expect(rateOf(hits, of).interval).toEqual(wilson({ hits, of }));
      }),
    );
  });

  it("move against each other with the threshold, from all to none", () => {
    const number = fc.double({ min: -5, max: 5, noNaN: true });
    const picture = fc.record({ excess: number, strange: fc.option(number) });
    fc.assert(
      fc.property(fc.array(picture, { minLength: 1 }), number, number, (pictures, a, b) => {
        const [narrow, wide] = [ratesAt(pictures, Math.min(a, b)), ratesAt(pictures, Math.max(a, b))];
        expect(wide.falseReject.hits).toBeLessThanOrEqual(narrow.falseReject.hits);
        expect(wide.falseAccept.hits).toBeGreaterThanOrEqual(narrow.falseAccept.hits);
        const [low, high] = shiftRange(pictures);
        expect(ratesAt(pictures, low)).toMatchObject({
          falseReject: { hits: pictures.length },
          falseAccept: { hits: 0 },
        });
        const strange = pictures.filter((one) => one.strange !== null).length;
        expect(ratesAt(pictures, high)).toMatchObject({
          falseReject: { hits: 0 },
          falseAccept: { hits: strange },
        });
      }),
    );
  });
});

describe("the limits of left-out pictures", () => {
  const sample = (excess: number | null, strange: number | null) => ({
    ...{ id: "1", label: "gear", origin: "1.jpg" },
    leftOut: { kind: "known" as const, nearest: "gear", confidence: 1, excess, strange },
  });

  it("move by a factor; what cannot be left out, or has no limit yet, is none of them", () => {
    const samples = [
      sample(0.5, 2),
      sample(1.1, null),
      sample(null, null),
      { ...sample(1, 1), leftOut: null },
    ];
    const pictures = distancesOf(samples);
    expect(pictures).toHaveLength(2);
    expect(ratesAt(pictures, 0)).toMatchObject({
      falseReject: { hits: 1, of: 2 },
      falseAccept: { hits: 0, of: 1 },
    });
    expect(ratesAt(pictures, Math.log(1.2)).falseReject.hits).toBe(0);
    expect(ratesAt(pictures, Math.log(2.1)).falseAccept.hits).toBe(1);
    const [low, high] = shiftRange(distancesOf([...samples, sample(0, 1e6)]));
    expect(Math.exp(low)).toBeCloseTo(0.49, 2);
    expect(Math.exp(high)).toBeCloseTo(2.06, 2);
  });

  it("are told with what they rest on and what makes them sure", () => {
    const said = (limit: Parameters<typeof limitSentences>[0], language: "en" | "zh" = "en"): string =>
      paragraph(limitSentences(limit, wordsOf[language], language), language);
    const own = { source: "own", pictures: 5, rates: [0.01, 0.131], missing: 1 } as const;
    expect(said(own)).toBe(
      "Limit from its own and the others' pictures. Of its frames, 1% to 13% may be called unknown. 1 more picture makes it sure.",
    );
    expect(said({ ...own, source: "conformal", missing: 0 })).toMatch(/It is sure\.$/);
    expect(said({ ...own, frames: 300 })).toMatch(/\. 300 frames of the line drew it closer\. /);
    expect(said({ source: "none", pictures: 0, rates: null, missing: 43 })).toBe(
      "Cannot tell unknown yet: show a second picture of each class.",
    );
    expect(said(own, "zh")).not.toMatch(/[a-z ]{2}/);
  });
});

describe("agreement of runs", () => {
  it("is Fleiss' kappa, as in his example of 1971", () => {
    // Ten subjects, fourteen raters, five categories: kappa 0.210.
    const table = [
      [0, 0, 0, 0, 14],
      [0, 2, 6, 4, 2],
      [0, 0, 3, 5, 6],
      [0, 3, 9, 2, 0],
      [2, 2, 8, 1, 1],
      [7, 7, 0, 0, 0],
      [3, 2, 6, 3, 0],
      [2, 5, 3, 2, 2],
      [6, 5, 2, 1, 0],
      [0, 2, 2, 3, 7],
    ];
    const parts = table.map((row) => row.flatMap((n, category) => Array<string>(n).fill(String(category))));
    const { kappa, interval, alike } = agreementOf(parts);
    expect(kappa).toBeCloseTo(0.21, 3);
    expect(interval![0]).toBeLessThan(0.21);
    expect(interval![1]).toBeGreaterThan(0.21);
    expect(alike).toMatchObject({ hits: 1, of: 10 });
  });

  it("is complete where all runs agree, and nothing to speak of where all is one answer", () => {
    expect(
      agreementOf([
        ["a", "a"],
        ["b", "b"],
        ["a", "a"],
      ]),
    ).toMatchObject({ kappa: 1, alike: { hits: 3, of: 3 } });
    expect(
      agreementOf([
        ["a", "a"],
        ["a", "a"],
      ]),
    ).toMatchObject({ kappa: null, interval: null });
    expect(agreementOf([])).toMatchObject({ kappa: null, alike: { hits: 0, of: 0 } });
  });
});

describe("the map", () => {
  it("shows the two directions in which rows differ most", () => {
    const rng = createRng(2);
    const [n, dim] = [60, 8];
    const rows = new Float32Array(n * dim);
    const truth = Array.from({ length: n }, () => [10 * rng.normal(), 4 * rng.normal()] as const);
    for (const [i, [a, b]] of truth.entries())
      for (let d = 0; d < dim; d++)
        rows[i * dim + d] = (d === 2 ? a : d === 5 ? b : 0) + 0.05 * rng.normal() + 3;
    const places = principalPlane(rows, n, dim);
    const correlation = (axis: 0 | 1): number => {
      const x = truth.map((point) => point[axis]);
      const y = truth.map((_, i) => places[2 * i + axis]!);
      const [mx, my] = [x, y].map((values) => values.reduce((sum, value) => sum + value, 0) / n) as [
        number,
        number,
      ];
      const along = (p: number[], mp: number, q: number[], mq: number): number =>
        p.reduce((sum, value, i) => sum + (value - mp) * (q[i]! - mq), 0);
      return Math.abs(along(x, mx, y, my)) / Math.sqrt(along(x, mx, x, mx) * along(y, my, y, my));
    };
    expect(correlation(0)).toBeGreaterThan(0.98);
    expect(correlation(1)).toBeGreaterThan(0.98);
    expect([...principalPlane(new Float32Array(3 * dim).fill(1), 3, dim)]).toEqual(Array(6).fill(0));
  });

  it("tells what was drawn around", () => {
    const square = [
      [0, 0],
      [4, 0],
      [4, 4],
      [0, 4],
    ] as const;
    expect(inside([1, 2], square)).toBe(true);
    expect(inside([5, 2], square)).toBe(false);
    expect(inside([-1, -1], square)).toBe(false);
  });
});

describe("the history in Chinese", () => {
  it("translates what tuning says, of one class and of several", () => {
    const rng = createRng(3);
    const said = (classes: number, pictures: number): string => {
      const labels = Array.from({ length: classes * pictures }, (_, i) => `part ${i % classes}`);
      const rows = labels.map((_, i) =>
        Float32Array.from({ length: 8 }, (_, d) => (d === i % classes ? 4 : 1) + 0.3 * rng.normal()),
      );
      return tune({ embeddings: stack(rows), labels }, {}, defaultPriors, createRng(1)).report.summary;
    };
    for (const summary of [said(1, 4), said(3, 5)])
      for (const prefix of ["tune", "promote a candidate"])
        expect(reasonZh(`${prefix}: ${summary}`), summary).not.toMatch(/[A-Za-z]{3}/);
    expect(reasonZh("tune: what somebody wrote")).toBe("调优：what somebody wrote");
    expect(reasonZh('limits learned from the line: "a" by -12 % (300 frames), "b" by 9 % (40 frames)')).toBe(
      '按产线的帧调整界限："a" -12 %（300 帧）, "b" 9 %（40 帧）',
    );
  });
});

describe("the texts", () => {
  it("take the language that was chosen, or else the browser's first that there is", () => {
    expect(chooseLanguage(null, ["fr", "zh-TW", "en"])).toBe("zh");
    expect(chooseLanguage("en", ["zh-CN"])).toBe("en");
    expect(chooseLanguage(null, ["fr"])).toBe("en");
  });

  it("are in Chinese not the English ones, and none is empty", () => {
    const flat = (value: unknown, path = ""): [string, string][] =>
      typeof value === "string"
        ? [[path, value]]
        : typeof value === "function"
          ? [[path, String((value as (...args: unknown[]) => string)("2", "2", "2"))]]
          : Object.entries(value as object).flatMap(([key, inner]) => flat(inner, `${path}.${key}`));
    const zh = new Map(flat(wordsOf.zh));
    for (const [path, text] of flat(wordsOf.en)) {
      expect(text, path).not.toBe("");
      expect(zh.get(path), path).toMatch(/[\u4e00-\u9fff]|^[\d\s/，（）]*$/);
    }
  });
});
