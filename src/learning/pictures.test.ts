import { describe, expect, it } from "vitest";
import type { Sample } from "../store/pure.ts";
import { trainingPart } from "./pictures.ts";

/** `counts[c]` pictures of class c; content hashes are numbers in an order of their own. */
function samplesOf(...counts: readonly number[]): Sample[] {
  return counts.flatMap((n, c) =>
    Array.from({ length: n }, (_, i) => ({
      ...{ id: `${c}-${i}`, label: `class ${c}`, embeddings: [], origin: "", time: 0, who: "test" },
      contentHash: String((7919 * (100 * c + i)) % 10007).padStart(64, "0"),
    })),
  );
}
const never = () => false;
const countOf = (samples: readonly Sample[], label: string): number =>
  samples.filter((sample) => sample.label === label).length;

describe("what an encoder is trained on", () => {
  it("is three quarters of each class where nothing is held out, and all of them where something is", () => {
    const samples = samplesOf(4, 8, 21);
    const part = trainingPart(samples, { heldOut: false, shown: never, seed: 1 });
    expect(["class 0", "class 1", "class 2"].map((label) => countOf(part.samples, label))).toEqual([
      3, 6, 16,
    ]);
    expect(part.keptBack).toBe(8);
    expect(trainingPart(samples, { heldOut: true, shown: never, seed: 1 })).toMatchObject({ keptBack: 0 });
  });

  it("leaves out classes of too few pictures, and says how many are needed", () => {
    const part = trainingPart(samplesOf(3, 4, 4), { heldOut: false, shown: never, seed: 1 });
    expect(countOf(part.samples, "class 0")).toBe(0);
    const refused = (heldOut: boolean) => () =>
      trainingPart(samplesOf(heldOut ? 2 : 3, 9), { heldOut, shown: never, seed: 1 });
    expect(refused(false)).toThrow(/two classes of 4 pictures each .* one of which is kept back/);
    expect(refused(true)).toThrow(/two classes of 3 pictures each/);
  });

  it("never keeps back a picture that an earlier training was shown", () => {
    const samples = samplesOf(8, 8);
    const first = trainingPart(samples, { heldOut: false, shown: never, seed: 1 });
    const shownThen = new Set(first.samples.map(({ contentHash }) => contentHash));
    // New pictures, whose hashes are the lowest of all: alone by those they would be kept back instead.
    const grown = [
      ...samples,
      ...samplesOf(8).map((one, i) => ({ ...one, id: `new ${i}`, contentHash: `0000${i}`.padEnd(64, "0") })),
    ];
    const second = trainingPart(grown, {
      ...{ heldOut: false, seed: 1 },
      shown: (contentHash) => shownThen.has(contentHash),
    });
    const trainedOn = new Set(second.samples);
    const back = grown.filter((sample) => !trainedOn.has(sample));
    expect(back.filter(({ contentHash }) => shownThen.has(contentHash))).toEqual([]);
    expect(back.length).toBe(6);
  });

  it("is the same for the same pictures in another order", () => {
    const samples = samplesOf(8, 8);
    const ids = (of: readonly Sample[]): string[] =>
      trainingPart(of, { heldOut: false, shown: never, seed: 1 })
        .samples.map(({ id }) => id)
        .sort();
    expect(ids([...samples].reverse())).toEqual(ids(samples));
  });

  it("is bounded, each class alike, some classes where there are too many", () => {
    const most = 30;
    const few = trainingPart(samplesOf(40, 40, 5), { heldOut: true, shown: never, most, seed: 1 });
    expect(["class 0", "class 1", "class 2"].map((label) => countOf(few.samples, label))).toEqual([
      10, 10, 5,
    ]);
    const many = trainingPart(samplesOf(...Array<number>(50).fill(4)), {
      ...{ heldOut: true, shown: never, most, seed: 1 },
    });
    expect(many.samples.length).toBe(30);
    expect(new Set(many.samples.map(({ label }) => label)).size).toBe(10);
  });
});
