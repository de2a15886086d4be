import { describe, expect, it } from "vitest";
import { type HeldOutAnswer, heldOutRates, pairedChange } from "./held-out.ts";

const answer = (truth: string, kind: HeldOutAnswer["kind"], nearest: string): HeldOutAnswer => ({
  truth,
  kind,
  nearest,
});

describe("held-out pictures", () => {
  it("are counted by whether the revision has their class", () => {
    const rates = heldOutRates(
      [
        answer("gear", "known", "gear"),
        answer("gear", "known", "washer"),
        answer("gear", "unknown", "gear"),
        answer("washer", "ambiguous", "washer"),
        answer("ring", "known", "washer"),
        answer("ring", "unknown", "washer"),
        answer("ring", "ambiguous", "washer"),
      ],
      new Set(["gear", "washer"]),
    );
    expect(rates).toMatchObject({
      right: { hits: 1, of: 4 },
      falseReject: { hits: 1, of: 4 },
      falseAccept: { hits: 1, of: 3 },
    });
    expect(rates.falseAccept.interval[0]).toBeGreaterThan(0);
    expect(heldOutRates([], new Set()).right).toEqual({ hits: 0, of: 0, interval: [0, 1] });
  });

  it("a change is told by the pictures that changed alone", () => {
    const yes = (n: number, of: number): boolean[] => Array.from({ length: of }, (_, i) => i < n);
    expect(pairedChange(yes(9, 20), yes(9, 20))).toEqual({ lost: 0, gained: 0, pValue: 1 });
    expect(pairedChange(yes(3000, 3000), yes(0, 3000)).pValue).toBe(0);
    // Six of six tails: 2 / 2⁶.
    expect(pairedChange(yes(10, 20), yes(4, 20))).toEqual({
      lost: 6,
      gained: 0,
      pValue: expect.closeTo(2 / 64, 12),
    });
    // One of four: 2 (1 + 4) / 2⁴.
    expect(pairedChange([true, true, true, false], [false, false, false, true])).toEqual({
      lost: 3,
      gained: 1,
      pValue: expect.closeTo(10 / 16, 12),
    });
  });
});
