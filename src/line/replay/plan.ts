import { createRng, ProtolineError } from "../../core/index.ts";

/** Pictures of one class, by path. */
export interface ReplayClass {
  readonly label: string;
  readonly images: readonly string[];
}

export interface PlanOptions {
  readonly classes: readonly ReplayClass[];
  /** Classes that are enrolled before the first frame: their names, or how many. */
  readonly known: number | readonly string[];
  /** Pictures that each of them is enrolled by. Default 10. */
  readonly shots?: number;
  /** Frames at most; the line ends earlier where the pictures do. Default 1000. */
  readonly frames?: number;
  /** The other classes appear one after another, each so many frames after the last. Default 100. */
  readonly every?: number;
  /** Of the order of classes and pictures. Default 1. */
  readonly seed?: number;
}

export interface ReplayFrame {
  readonly path: string;
  /** The truth. */
  readonly label: string;
}

export interface ReplayPlan {
  /** What is enrolled before the first frame. */
  readonly start: readonly ReplayClass[];
  readonly frames: readonly ReplayFrame[];
  /** The frame from which on a class is on the line: 0 for those of `start`. */
  readonly appears: ReadonlyMap<string, number>;
}

/**
 * What comes down the line: in each frame one of the classes that have appeared, all equally likely, a picture that
 * was not there before. Class and pictures follow from the seed alone.
 *
 * @throws INVALID_ARGUMENT for a known class that is not there, or has no picture left for the line.
 */
export function planReplay(options: PlanOptions): ReplayPlan {
  const { classes, known, shots = 10, frames: most = 1000, every = 100, seed = 1 } = options;
  const rng = createRng(seed);
  const order = typeof known === "number" ? rng.shuffle(classes) : named(classes, known);
  const count = typeof known === "number" ? known : known.length;
  if (count < 1 || count > classes.length)
    throw invalid(`1 to ${classes.length} known classes`, String(count), "Correct the number or the names.");

  const left = new Map(order.map(({ label, images }, i) => [label, rng.fork(i).shuffle(images)]));
  const start = order
    .slice(0, count)
    .map(({ label }) => ({ label, images: left.get(label)!.splice(0, shots) }));
  for (const { label, images } of start)
    if (images.length < shots || left.get(label)!.length === 0)
      throw invalid(
        `more than ${shots} pictures of class "${label}", which is known from the beginning`,
        String(images.length + left.get(label)!.length),
        "Enroll fewer pictures (shots), or begin with other classes.",
      );
  const appears = new Map(order.map(({ label }, i) => [label, Math.max(0, i - count + 1) * every]));

  const frames: ReplayFrame[] = [];
  while (frames.length < most) {
    const present = order.filter(
      ({ label }) => appears.get(label)! <= frames.length && left.get(label)!.length > 0,
    );
    if (present.length === 0) break;
    const { label } = present[rng.int(present.length)]!;
    frames.push({ label, path: left.get(label)!.pop()! });
  }
  return { start, frames, appears };
}

/** The named classes first, the others behind them in their own order. */
function named(classes: readonly ReplayClass[], names: readonly string[]): ReplayClass[] {
  const first = names.map((name) => {
    const found = classes.find(({ label }) => label === name);
    if (found) return found;
    const labels = classes.map(({ label }) => label).join(", ");
    throw invalid(
      `names among ${labels}`,
      `"${name}"`,
      "Correct the name; it is that of the class's folder.",
    );
  });
  return [...first, ...classes.filter((one) => !first.includes(one))];
}

const invalid = (expected: string, got: string, todo: string): ProtolineError =>
  new ProtolineError("INVALID_ARGUMENT", { expected, got, todo });
