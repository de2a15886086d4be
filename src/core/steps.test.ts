import { describe, expect, it } from "vitest";
import { createPace, finish, inSlices, type Steps } from "./steps.ts";

function* count(to: number, spin: number): Steps<number> {
  let sum = 0;
  for (let i = 1; i <= to; i++) {
    const end = performance.now() + spin;
    while (performance.now() < end);
    sum += i;
    yield;
  }
  return sum;
}

describe("steps", () => {
  it("come to the same at once and in slices", async () => {
    expect(finish(count(10, 0))).toBe(55);
    expect(await inSlices(count(10, 0))).toBe(55);
  });

  it("let others have their turn between slices", async () => {
    let turns = 0;
    let going = true;
    const beside = (): void => {
      turns++;
      if (going) setImmediate(beside);
    };
    setImmediate(beside);
    await inSlices(count(40, 0.5), 1);
    going = false;
    // 20 ms of work, a slice of 1 to 1.5 ms each.
    expect(turns).toBeGreaterThan(5);
  });

  it("are paced in a loop that cannot be cut otherwise", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const pace = createPace(1);
    for (let i = 0; i < 60; i++) {
      const end = performance.now() + 0.5;
      while (performance.now() < end);
      await pace();
    }
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
  });

  it("pass on what the work throws", async () => {
    function* broken(): Steps<never> {
      yield;
      throw new Error("broken");
    }
    expect(() => finish(broken())).toThrow("broken");
    await expect(inSlices(broken())).rejects.toThrow("broken");
  });
});
