import { describe, expect, it } from "vitest";
import { createRng, type Rng } from "../core/index.ts";
import { detectDrift } from "./drift.ts";
import { calmWindows, createDriftWatch, type DriftWatch, type SeenFrame } from "./watch.ts";

/** Two classes and some unknown frames, in three dimensions. */
function frame(rng: Rng, { shift = 0, unknown = 0.1 } = {}): SeenFrame {
  const label = rng.next() < unknown ? null : rng.next() < 0.5 ? "A" : "B";
  const noise = Float32Array.from({ length: 3 }, () => rng.normal());
  const embedding = noise.map((v, d) => v + shift + (label === "A" && d === 0 ? 5 : 0));
  return { embedding, label, distance: Math.hypot(...noise.map((v) => v + shift)) };
}

/** Frames until the watch has judged `windows` windows, and the numbers of the last frames of those that alarmed. */
function run(watch: DriftWatch, windows: number, next: (at: number) => SeenFrame): number[] {
  const alarms: number[] = [];
  for (let at = 0, done = 0; done < windows; at++) {
    const full = watch.observe(next(at));
    if (!full) continue;
    done++;
    const report = detectDrift(full.reference, full.current, full.options);
    watch.judged(full, report, at);
    if (report.alarm) alarms.push(full.frame);
  }
  return alarms;
}

describe("watching a line", () => {
  it("alarms without cause in no more periods than its level, however many windows a period has", () => {
    const [periods, windows, level] = [300, 5, 0.2];
    const root = createRng(41);
    let alarmed = 0;
    for (let period = 0; period < periods; period++) {
      const rng = root.fork(period);
      const options = { referenceFrames: 40, windowFrames: 24, windows, level, seed: rng.int(1e6) };
      if (run(createDriftWatch(options), windows, () => frame(rng)).length > 0) alarmed++;
    }
    // 1,500 windows. Three standard errors above the level; and the tests are no dead ones, though Holm and Boole hold
    // them below it.
    const noise = 3 * Math.sqrt((level * (1 - level)) / periods);
    expect(alarmed / periods).toBeLessThan(level + noise);
    expect(alarmed / periods).toBeGreaterThan(level / 8);
  });

  it("finds a shift in the first window that is wholly after it, and is calm again when it ends", () => {
    const rng = createRng(5);
    const options = { referenceFrames: 100, windowFrames: 50, windows: 8 };
    const watch = createDriftWatch(options);
    const drifted = (at: number): boolean => at >= 200 && at < 300;
    const alarms = run(watch, 2 + 2 + 1, (at) => frame(rng, { shift: drifted(at) ? 1.5 : 0 }));
    expect(alarms).toEqual([250, 300]);
    expect(watch.state()).toMatchObject({ alarm: true, phase: "watching" });
    run(watch, calmWindows - 1, () => frame(rng));
    expect(watch.state().alarm).toBe(false);
    expect(watch.state().judged.map(({ frame }) => frame)).toEqual([150, 200, 250, 300, 350, 400]);
  });

  it("finds a rate of unknown frames that rises", () => {
    const rng = createRng(6);
    const watch = createDriftWatch({ referenceFrames: 100, windowFrames: 50 });
    expect(run(watch, 3, (at) => frame(rng, { unknown: at < 150 ? 0.05 : 0.6 }))).toEqual([200, 250]);
    expect(
      watch
        .state()
        .judged.at(-1)!
        .findings.find(({ test }) => test === "unknownRate")!.alarm,
    ).toBe(true);
  });

  it("says where it stands, and holds no more than reference and window", () => {
    const rng = createRng(7);
    const watch = createDriftWatch({ referenceFrames: 4, windowFrames: 2 });
    expect(watch.state()).toMatchObject({
      phase: "learning",
      reference: { frames: 0, of: 4, summary: null },
      unknownRate: null,
      alarm: false,
    });
    for (let i = 0; i < 4; i++) expect(watch.observe({ ...frame(rng), label: null })).toBe(null);
    expect(watch.state()).toMatchObject({
      phase: "watching",
      reference: { frames: 4, summary: { unknownRate: 1, answers: [{ label: null, frames: 4 }] } },
    });
    expect(watch.observe({ ...frame(rng), label: "A" })).toBe(null);
    expect(watch.state()).toMatchObject({ window: { frames: 1, of: 2 }, unknownRate: 0.5 });
    const full = watch.observe({ ...frame(rng), label: "A" })!;
    expect(full).toMatchObject({ frame: 6, options: { level: 0.01 / 16 } });
    expect([full.reference.labels.length, full.current.labels.length]).toEqual([4, 2]);
    expect(full.summary).toMatchObject({ unknownRate: 0, meanConfidence: null });
    expect(full.summary.medianDistance).toBeCloseTo(
      (full.current.distances[0]! + full.current.distances[1]!) / 2,
    );
    for (let i = 0; i < 600; i++) {
      const next = watch.observe(frame(rng));
      if (next) watch.judged(next, { level: 0.01, alarm: false, findings: [] }, 0);
    }
    expect(watch.state().judged.length).toBe(64);
  });

  it.each([{ referenceFrames: 1 }, { windowFrames: 1.5 }, { windows: 0 }, { level: 1 }])(
    "refuses %o",
    (options) => {
      expect(() => createDriftWatch(options)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    },
  );
});
