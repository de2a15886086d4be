import { describe, expect, it } from "vitest";
import type { Seen } from "../../recognizer/index.ts";
import type { ShadowAnswer } from "../judge/index.ts";
import { createShadow, type Kind } from "./shadow.ts";

const answer = (kind: Kind, nearest = "bolt"): ShadowAnswer => ({
  ...{ kind, nearest, confidence: 0.9, distance: 0.1 },
});
/** A frame that the gallery answered so. */
function seen(kind: Kind, nearest = "bolt", image: Uint8Array | string = new Uint8Array(10)): Seen {
  const candidates = [{ label: nearest, confidence: 0.9, distance: 0.1, threshold: 0.2 }];
  return {
    image,
    region: undefined,
    answer: { kind, candidates, confidence: 0.9, distance: 0.1, revision: 3 },
  } as unknown as Seen;
}
/** One after another, without rest. */
async function show(shadow: ReturnType<typeof createShadow>, frames: readonly Seen[]): Promise<void> {
  for (const frame of frames) {
    shadow.offer(frame);
    await shadow.settled();
  }
}

describe("a shadow", () => {
  it("counts frames on which the two agree and differ, and keeps those that differ", async () => {
    const answers = [answer("known"), answer("unknown", "nut"), answer("known", "nut"), answer("unknown")];
    const shadow = createShadow({ answer: async () => answers.shift()!, share: 1 });
    // Of unknown frames the nearest class does not matter.
    await show(shadow, [seen("known"), seen("unknown"), seen("known"), seen("known")]);
    const { frames, same, different, changes, differences } = shadow.state();
    expect({ frames, same, different }).toEqual({ frames: 4, same: 2, different: 2 });
    expect(changes).toEqual([
      { from: "known", to: "known", frames: 1 },
      { from: "known", to: "unknown", frames: 1 },
    ]);
    expect(differences.map(({ candidate }) => candidate.kind)).toEqual(["unknown", "known"]);
    expect(differences[0]).toMatchObject({ revision: 3, current: { kind: "known", nearest: "bolt" } });
  });

  it("passes frames over while it is busy and while it rests, and says so", async () => {
    const outcomes: string[] = [];
    let end = (): void => undefined;
    const shadow = createShadow({
      answer: () =>
        new Promise((resolve) => {
          end = () => resolve(answer("known"));
        }),
      onFrame: (outcome) => outcomes.push(outcome),
      share: 0.5,
    });
    shadow.offer(seen("known"));
    shadow.offer(seen("known"));
    await new Promise((resolve) => setTimeout(resolve, 30));
    end();
    await shadow.settled();
    // It has worked for 30 ms, and rests as long.
    shadow.offer(seen("known"));
    expect(outcomes).toEqual(["skipped", "same", "skipped"]);
    await new Promise((resolve) => setTimeout(resolve, 60));
    shadow.offer(seen("known"));
    await new Promise((resolve) => setImmediate(resolve));
    end();
    await shadow.settled();
    expect(outcomes.at(-1)).toBe("same");
  });

  it("counts what cannot be compared, and what the candidate cannot answer", async () => {
    const answers = [async () => null, async () => Promise.reject(new Error("broken"))];
    const shadow = createShadow({ answer: () => answers.shift()!(), share: 1 });
    await show(shadow, [seen("known"), seen("known"), seen("known", "bolt", "/etc/passwd")]);
    expect(shadow.state()).toMatchObject({ frames: 0, skipped: 2, failed: 1 });
  });

  it("keeps the newest differences, and no more than it may hold", async () => {
    const shadow = createShadow({ answer: async () => answer("unknown"), share: 1 });
    const large = Array.from({ length: 5 }, () => seen("known", "bolt", new Uint8Array(6 * 2 ** 20)));
    await show(shadow, [...Array.from({ length: 40 }, () => seen("known")), ...large]);
    const { differences, different } = shadow.state();
    expect(different).toBe(45);
    // Two of six MiB have room in sixteen; the small ones are older than those that had none.
    expect(differences.map(({ bytes }) => bytes.length)).toEqual([6 * 2 ** 20, 6 * 2 ** 20]);
    await show(
      shadow,
      Array.from({ length: 30 }, () => seen("known")),
    );
    expect(shadow.state().differences).toHaveLength(24);
  });
});
