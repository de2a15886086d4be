import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Recognition } from "../../recognizer/index.ts";
import { planReplay, type ReplayClass, type ReplayTarget, replay, summarizeReplay } from "../index.ts";

const classes = (sizes: readonly number[]): ReplayClass[] =>
  sizes.map((size, c) => ({
    label: `class ${c}`,
    images: Array.from({ length: size }, (_, i) => `${c}/${i}`),
  }));

describe("the plan of a line", () => {
  it("shows no picture twice, no class before its time, and follows from the seed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 5, max: 30 }), { minLength: 2, maxLength: 6 }),
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer(),
        (sizes, known, every, seed) => {
          const options = { classes: classes(sizes), known, shots: 4, frames: 60, every, seed };
          const plan = planReplay(options);
          expect(planReplay(options)).toEqual(plan);
          const used = [
            ...plan.start.flatMap(({ images }) => images),
            ...plan.frames.map(({ path }) => path),
          ];
          expect(new Set(used).size).toBe(used.length);
          for (const [frame, { label, path }] of plan.frames.entries()) {
            expect(plan.appears.get(label)).toBeLessThanOrEqual(frame);
            expect(path.startsWith(`${label.at(-1)}/`)).toBe(true);
          }
          expect(plan.start.map(({ images }) => images.length)).toEqual(Array(known).fill(4));
          expect([...plan.appears.values()]).toEqual(
            Array.from({ length: sizes.length }, (_, i) => Math.max(0, i - known + 1) * every),
          );
        },
      ),
    );
  });

  it("begins with the classes that are named", () => {
    const { start } = planReplay({ classes: classes([9, 9, 9]), known: ["class 2", "class 0"], shots: 3 });
    expect(start.map(({ label }) => label)).toEqual(["class 2", "class 0"]);
  });

  it("says which class is not there, or too small", () => {
    expect(() => planReplay({ classes: classes([9]), known: ["gear"] })).toThrow(/class 0.*"gear"/s);
    expect(() => planReplay({ classes: classes([9]), known: 1, shots: 9 })).toThrow(/more than 9 pictures/);
    expect(() => planReplay({ classes: classes([9]), known: 2 })).toThrow(/1 to 1 known classes/);
  });
});

let folder: string;
/** Grey pictures; the class is the hundreds of the grey's tens: 0 is dark, 1 lighter, 2 lightest. */
let set: ReplayClass[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-replay-"));
  set = await Promise.all(
    [40, 120, 200].map(async (grey) => ({
      label: `grey ${grey}`,
      images: await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const path = join(folder, `${grey}-${i}.png`);
          const background = { r: grey, g: grey, b: grey };
          await writeFile(
            path,
            await sharp({ create: { width: 16, height: 16 + i, channels: 3, background } })
              .png()
              .toBuffer(),
          );
          return path;
        }),
      ),
    })),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const greyOf = async (image: Uint8Array): Promise<number> => (await sharp(image).stats()).channels[0]!.mean;

/** Knows a grey by the mean of what it was shown, to ± 15. */
function greyTarget(): ReplayTarget & { readonly enrolled: Map<string, number[]> } {
  const enrolled = new Map<string, number[]>();
  return {
    enrolled,
    enroll: async (label, images) => {
      const greys = await Promise.all(images.map(greyOf));
      enrolled.set(label, [...(enrolled.get(label) ?? []), ...greys]);
    },
    recognize: async (image) => {
      const grey = await greyOf(image);
      const found = [...enrolled].find(
        ([, greys]) => Math.abs(grey - greys.reduce((sum, one) => sum + one, 0) / greys.length) < 15,
      );
      return {
        ...(found ? { kind: "known", label: found[0] } : { kind: "unknown" }),
        revision: 1,
      } as Recognition;
    },
  };
}

describe("a replay", () => {
  it("makes a class of what the reviewer confirms, and knows it from then on", async () => {
    const target = greyTarget();
    const plan = planReplay({ classes: set, known: ["grey 40"], shots: 5, every: 10, seed: 3 });
    const result = await replay({ plan, target, confirm: 4 });
    const summary = summarizeReplay(result, plan);
    expect(summary.frames).toBe(55);
    expect(summary.recognized).toMatchObject({ share: 1 });
    expect(summary.caught.share).toBe(1);
    expect(result.onboarded.map(({ label, pictures }) => [label, pictures])).toEqual([
      ["grey 120", 4],
      ["grey 200", 4],
    ]);
    for (const { label, known, appeared, framesUntilKnown } of summary.classes.slice(1)) {
      expect(known).toBeGreaterThan(appeared);
      expect(framesUntilKnown).toBeGreaterThanOrEqual(4);
      expect(result.records.filter(({ truth, enrolled }) => truth === label && !enrolled)).toHaveLength(
        framesUntilKnown,
      );
    }
    expect(summary.phases.map(({ from }) => from)).toEqual([0, 10, 20]);
    expect(summary.phases.reduce((sum, { right }) => sum + right.hits, 0)).toBe(55);
    expect(summary.latency.frames).toBe(55);
  });

  it("lets the light go down, which the pictures show", async () => {
    const target = greyTarget();
    const plan = planReplay({ classes: set, known: 3, shots: 5, seed: 1 });
    const bright = summarizeReplay(await replay({ plan, target, confirm: 100 }), plan);
    const dark = summarizeReplay(
      await replay({ plan, target: greyTarget(), confirm: 100, dim: { from: 20, to: 0.5 } }),
      plan,
    );
    expect(bright.falseUnknown.hits).toBe(0);
    expect(dark.recognized.hits).toBeLessThan(bright.recognized.hits);
  });

  it("ends with the error of an enrollment that failed", async () => {
    const target = greyTarget();
    const plan = planReplay({ classes: set, known: ["grey 40"], shots: 5, every: 1 });
    const enroll = async (label: string, images: readonly Uint8Array[]): Promise<void> => {
      if (label !== "grey 40") throw new Error("the store is gone");
      await target.enroll(label, images);
    };
    await expect(replay({ plan, target: { ...target, enroll }, confirm: 2 })).rejects.toThrow(
      "store is gone",
    );
  });
});
