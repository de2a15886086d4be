import { describe, expect, it } from "vitest";
import type { DriftFinding, DriftTest } from "./drift.ts";
import { driftText } from "./drift-text.ts";

const finding = (test: DriftTest, alarm: boolean, statistic: number, label?: string): DriftFinding => ({
  ...{ test, statistic, alarm, pValue: alarm ? 0 : 1, adjusted: alarm ? 0 : 1, frames: [9, 9] },
  ...(label !== undefined && { label }),
});

describe("what a drift means", () => {
  it.each([
    [
      [finding("unknownRate", true, 0.2)],
      "20 points more frames are unknown: look at the tray for a part that is new.",
    ],
    [[finding("unknownRate", true, -0.2)], "20 points fewer frames are unknown: look whether the mix"],
    [
      [finding("classMean", true, 1.26, "red"), finding("classMean", false, 0.1, "green")],
      '"red" has moved by 1.3 of its spread: look at the parts of "red" first.',
    ],
    [
      [
        finding("distance", true, 0.5),
        ...["a", "b", "c", "d"].map((label) => finding("classMean", true, 1, label)),
      ],
      "1 more class too: look at light, lens and camera first.",
    ],
    [[finding("embeddings", true, 0.1)], "look whether the mix of parts has changed"],
  ])("%#", (findings, text) => {
    expect(driftText({ findings })).toContain(text);
  });

  it("nothing without an alarm", () => {
    expect(driftText({ findings: [finding("distance", false, 0.1)] })).toBe(null);
  });
});
