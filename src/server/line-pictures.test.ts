import { describe, expect, it } from "vitest";
import { createRng } from "../core/index.ts";
import { createLinePictures, type LinePicture } from "./line-pictures.ts";

const frame = (label: string | null, distance: number, bytes = 10): Omit<LinePicture, "id"> => ({
  ...{ label, distance, bytes: new Uint8Array(bytes), region: undefined },
});
const count = (pictures: readonly LinePicture[], label: string | null): number =>
  pictures.filter((one) => one.label === label).length;

describe("pictures of a line", () => {
  it("are four of each answer, any of its frames alike, and begin anew when they are taken", () => {
    const pictures = createLinePictures(createRng(7));
    const hits = new Array<number>(20).fill(0);
    const rounds = 1000;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < 20; i++) pictures.offer(frame("gear", i));
      pictures.offer(frame(null, 0));
      const taken = pictures.take();
      expect([count(taken, "gear"), count(taken, null)]).toEqual([4, 1]);
      for (const { label, distance } of taken) if (label === "gear") hits[distance]!++;
    }
    // 4 of 20: 200 hits a frame are expected, their standard deviation is √(1000 · 0.2 · 0.8) < 13.
    for (const hit of hits) expect(Math.abs(hit - rounds / 5)).toBeLessThan(4.5 * 13);
    expect(pictures.take()).toEqual([]);
  });

  it("stay below their bytes, and the answer that holds most gives way", () => {
    const pictures = createLinePictures(createRng(8));
    for (let i = 0; i < 4; i++) pictures.offer(frame("gear", i, 4 * 2 ** 20));
    pictures.offer(frame("washer", 0, 2 * 2 ** 20));
    const taken = pictures.take();
    expect([count(taken, "gear"), count(taken, "washer")]).toEqual([3, 1]);
    pictures.offer(frame("gear", 0, 17 * 2 ** 20));
    expect(pictures.take()).toEqual([]);
  });

  it("are of sixteen answers at most", () => {
    const pictures = createLinePictures(createRng(9));
    for (let i = 0; i < 40; i++) pictures.offer(frame(`part ${i}`, i));
    expect(pictures.take().length).toBe(16);
  });
});
