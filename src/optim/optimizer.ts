import type { Builder, Value } from "../graph/index.ts";

/**
 * A rule that moves weights against their gradients, as nodes of the training graph. What it remembers of each weight
 * (its slots, of the weight's shape, zeros at first) are inputs and outputs of the graph, fed back from step to step;
 * what changes with the step alone is computed outside and fed as scalars.
 */
export interface Optimizer {
  /** Names of the slots of each weight, as `m` and `v`. */
  readonly slots: readonly string[];
  /** Numbers of step `step` (1, 2, …) at learning rate `rate`, fed under these names. */
  scalars(step: number, rate: number): Readonly<Record<string, number>>;
  /** @param decays whether weight decay applies: not to biases and gains. */
  update(g: Builder, parts: UpdateParts, decays: boolean): Updated;
}

export interface UpdateParts {
  readonly weight: Value;
  readonly gradient: Value;
  readonly slots: readonly Value[];
  /** Each of shape `[]`. */
  readonly scalars: Readonly<Record<string, Value>>;
}

export interface Updated {
  readonly weight: Value;
  readonly slots: readonly Value[];
}
