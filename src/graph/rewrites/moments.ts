import type { Builder, Value } from "../builder.ts";

/** Mean and variance of `count` values from their sum and the sum of their squares. */
export function momentsOf(g: Builder, count: number, total: (squares: boolean) => Value) {
  const mu = g.Mul(total(false), 1 / count);
  const square = g.Mul(total(true), 1 / count);
  return { mu, spread: g.Max(g.Sub(square, g.Mul(mu, mu)), 0) };
}

/** The running statistic after a step: `momentum` of what it was, the rest of what the batch has. */
export const running = (g: Builder, momentum: number, before: Value, now: Value): Value =>
  g.Add(g.Mul(before, momentum), g.Mul(now, 1 - momentum));
