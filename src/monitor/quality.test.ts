import { describe, expect, it } from "vitest";
import { classQuality, type LeftOutAnswer } from "./quality.ts";

let number = 0;
const answer = (label: string, kind: LeftOutAnswer["kind"], nearest = label): LeftOutAnswer => ({
  ...{ label, kind, nearest },
  origin: `${++number}.jpg`,
  confidence: nearest === label ? 0.9 : 0.2,
});
const many = (n: number, label: string, kind: LeftOutAnswer["kind"], nearest = label): LeftOutAnswer[] =>
  Array.from({ length: n }, () => answer(label, kind, nearest));
const pictures = (of: Record<string, number>): ReadonlyMap<string, number> => new Map(Object.entries(of));

describe("the quality of a class", () => {
  it("counts what its pictures are told, with intervals, worst class first", () => {
    const answers = [
      ...many(10, "gear", "known"),
      ...many(5, "bolt", "known"),
      ...many(4, "bolt", "known", "screw"),
      answer("bolt", "unknown"),
      ...many(9, "screw", "known"),
      answer("screw", "ambiguous", "bolt"),
    ];
    const [bolt, screw, gear] = classQuality(answers, pictures({ gear: 10, bolt: 10, screw: 10 }));
    expect(bolt).toMatchObject({
      label: "bolt",
      verdict: "bad",
      right: { hits: 5, of: 10 },
      wrong: { hits: 4 },
      unknown: { hits: 1 },
      confusable: { label: "screw", pictures: 4 },
    });
    expect(bolt!.meanConfidence).toBeCloseTo((6 * 0.9 + 4 * 0.2) / 10);
    expect(bolt!.right.interval[0]).toBeCloseTo(0.2366, 3);
    expect(screw).toMatchObject({ label: "screw", verdict: "good", todo: null });
    expect(gear).toMatchObject({ label: "gear", verdict: "good", confusable: null, todo: null });
  });

  it("says what to do by what is wrong", () => {
    const todo = (own: LeftOutAnswer[], n = own.length): string =>
      classQuality(own, pictures({ part: n }))[0]!.todo!;
    expect(todo(many(2, "part", "known"))).toBe("It has 2 of about 10 pictures: show 8 more.");
    expect(todo([], 1)).toContain("show 9 more");
    expect(todo([...many(6, "part", "known"), ...many(4, "part", "known", "other")])).toMatch(
      /^4 of 10 pictures are nearer to "other" \(\d+.jpg, \d+.jpg, \d+.jpg, …\)/,
    );
    expect(todo([...many(6, "part", "known"), ...many(4, "part", "unknown")])).toMatch(
      /^4 of 10 .* fit nothing/,
    );
    expect(todo([...many(6, "part", "known"), ...many(4, "part", "ambiguous", "other")])).toMatch(
      /nearer to "other"|lie between "part" and "other"/,
    );
  });

  it("watches a class that is young, and judges none that could not be left out", () => {
    const [young, single] = classQuality(
      many(4, "young", "known"),
      pictures({ young: 4, single: 1 }),
    ).toSorted((a, b) => b.pictures - a.pictures);
    expect(young).toMatchObject({ verdict: "watch", right: { hits: 4, of: 4 } });
    expect(single).toMatchObject({ verdict: "watch", right: { hits: 0, of: 0, interval: [0, 1] } });
  });
});
