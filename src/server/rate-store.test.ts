import { expect, it } from "vitest";
import { createRateStore } from "./rate-store.ts";

/** What the plugin is told after each request, at `now`. */
function counting() {
  let now = 1e6;
  const store = new (createRateStore(() => now))();
  return (key: string, at: number): { current: number; ttl: number } => {
    now = at;
    let told: { current: number; ttl: number } | undefined;
    store.incr(
      key,
      (_, result) => {
        told = result;
      },
      60_000,
      10,
    );
    return told!;
  };
}

it("counts each caller for a window of its own, which begins with its first request", () => {
  const ask = counting();
  expect(ask("a", 0)).toEqual({ current: 1, ttl: 60_000 });
  expect(ask("a", 100)).toEqual({ current: 2, ttl: 59_900 });
  expect(ask("b", 200)).toEqual({ current: 1, ttl: 60_000 });
  expect(ask("a", 59_999)).toEqual({ current: 3, ttl: 1 });
  expect(ask("a", 60_000)).toEqual({ current: 1, ttl: 60_000 });
});

it("goes by a clock that nobody sets", () => {
  const { now: real } = Date;
  try {
    const store = new (createRateStore())();
    const ask = () => {
      let ttl = 0;
      store.incr("a", (_, told) => (ttl = told!.ttl), 60_000, 10);
      return ttl;
    };
    ask();
    Date.now = () => real() - 3_600_000;
    expect(ask()).toBeLessThanOrEqual(60_000);
    Date.now = () => real() + 3_600_000;
    const later = ask();
    expect(later).toBeGreaterThan(0);
    expect(later).toBeLessThan(60_000);
  } finally {
    Date.now = real;
  }
});

it("keeps 5,000 callers at most, and forgets those that have not asked for longest", () => {
  const ask = counting();
  ask("first", 0);
  for (let i = 0; i < 4999; i++) ask(`other ${i}`, 1);
  expect(ask("first", 2).current).toBe(2);
  ask("one more", 3);
  expect(ask("first", 4).current).toBe(3);
  expect(ask("other 0", 5).current).toBe(1);
});
