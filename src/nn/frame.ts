import { createRng, type Rng } from "../core/index.ts";
import { type Builder, createBuilder, type Shape, type Tensor, tensor, type Value } from "../graph/index.ts";
import { constant, type Init } from "./init.ts";

/** `train`: statistics of the batch, noise. `infer`: running statistics, no noise. */
export type Mode = "train" | "infer";

export interface ParameterSpec {
  /** Path of layers, as `block1/conv/weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  /**
   * `weight` and `affine` (biases and gains, which weight decay leaves alone) are trained; `statistic` is a running
   * mean or variance.
   */
  readonly role: "weight" | "affine" | "statistic";
  readonly init: Init;
  /** What its steps are multiplied by. Default 1. */
  readonly rate?: number;
}

/**
 * Where layers put their nodes and find their parameters. A network is a function over a frame, so that one text
 * serves for listing its parameters, for training, and for inference with constants.
 */
export interface Frame {
  readonly g: Builder;
  readonly mode: Mode;
  /** The parameter of that name in the present scope; the same value each time it is asked for. */
  parameter(name: string, shape: readonly number[], init: Init, role?: "weight" | "affine"): Value;
  /** The value of a parameter or statistic by its full name, whatever the scope. */
  own(spec: ParameterSpec): Value;
  /** Takes the loss's gradient at `value` instead of at the parameter of that full name (first-order meta-learning). */
  differentiate(name: string, value: Value): void;
  /** A running statistic, which starts at `initial`. */
  statistic(name: string, shape: readonly number[], initial: number): Value;
  /** What the running statistic becomes after this step. */
  update(statistic: Value, next: Value): void;
  /** Uniform noise in [0, 1), new in every step; in training alone. */
  uniform(shape: Shape): Value;
  /** Number of the step, 1, 2, …, `[]`; in training alone. */
  step(): Value;
  /** Puts `name/` before the names of parameters and nodes that `run` asks for. */
  scope<T>(name: string, run: () => T): T;
}

/** Name of the input that a graph has where a layer asks for {@link Frame.step}. */
export const stepInput = "step";

/** Images, or whatever comes before, to what comes after. */
export type Forward = (f: Frame, x: Value) => Value;

/** Uniform noise that a training graph reads. */
export interface NoiseSpec {
  readonly name: string;
  readonly shape: Shape;
}

export interface FrameRecord {
  /** Every parameter that was asked for, in that order. */
  readonly specs: readonly ParameterSpec[];
  readonly noise: readonly NoiseSpec[];
  /** New values of running statistics by name. */
  readonly updates: ReadonlyMap<string, Value>;
  /** Where the gradient of a parameter is taken, if not at itself. */
  readonly leaves: ReadonlyMap<string, Value>;
}

/**
 * @param supply gives the value of a parameter: a graph input, a constant, or something computed, such as the adapted
 *   weights of an inner loop.
 */
export function createFrame(
  g: Builder,
  mode: Mode,
  supply: (spec: ParameterSpec) => Value,
): Frame & FrameRecord {
  const known = new Map<string, Value>();
  const names = new Map<Value, string>();
  const specs: ParameterSpec[] = [];
  const noise: NoiseSpec[] = [];
  const updates = new Map<string, Value>();
  const leaves = new Map<string, Value>();
  let step: Value | undefined;
  let prefix = "";

  const ask = (spec: ParameterSpec): Value => {
    const before = known.get(spec.name);
    if (before) return before;
    const value = supply(spec);
    specs.push(spec);
    known.set(spec.name, value);
    names.set(value, spec.name);
    return value;
  };
  return {
    g,
    mode,
    specs,
    noise,
    updates,
    leaves,
    own: ask,
    differentiate: (name, value) => void leaves.set(name, value),
    parameter: (name, shape, init, role = "weight") => ask({ name: prefix + name, shape, init, role }),
    statistic: (name, shape, initial) =>
      ask({ name: prefix + name, shape, init: constant(initial), role: "statistic" }),
    update: (statistic, next) => void updates.set(names.get(statistic)!, next),
    uniform(shape) {
      const name = `noise/${noise.length}`;
      noise.push({ name, shape });
      return g.input(name, "float32", shape);
    },
    step() {
      step ??= g.input(stepInput, "float32", []);
      return step;
    },
    scope(name, run) {
      const before = prefix;
      prefix += `${name}/`;
      try {
        return g.scope(name, run);
      } finally {
        prefix = before;
      }
    },
  };
}

/** The parameters that a network has on inputs of this shape, in the order in which it asks for them. */
export function parametersOf(forward: Forward, input: Shape): readonly ParameterSpec[] {
  const g = createBuilder("parameters");
  const f = createFrame(g, "train", ({ name, shape }) => g.input(name, "float32", shape));
  forward(f, g.input("x", "float32", input));
  return f.specs;
}

/** Starting values. Each depends on the seed and its place in the list alone. */
export function initialize(specs: readonly ParameterSpec[], seed: number): Map<string, Tensor<"float32">> {
  const root: Rng = createRng(seed);
  return new Map(
    specs.map(({ name, shape, init }, i) => [name, tensor("float32", init(shape, root.fork(i)), shape)]),
  );
}
