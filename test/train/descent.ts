import { createRng } from "../../src/core/index.ts";
import { sizeOf } from "../../src/graph/index.ts";
import { modelOf, writeModel } from "../../src/onnx/index.ts";
import { openSession, Tensor } from "../../src/runtime/index.ts";
import type { Step } from "../../src/train/index.ts";

/**
 * How far the loss falls along its gradient, over how far the gradient says: 1 where the gradient is right and the step
 * is short. The step must be one of plain SGD.
 */
export async function descent(
  step: Step,
  imageShape: readonly number[],
  targets?: Tensor,
): Promise<{ readonly ratio: number; readonly norm: number }> {
  const rng = createRng(9);
  const images = Float32Array.from({ length: sizeOf(imageShape) }, () => rng.normal());
  const fixed: Record<string, Tensor> = { images: new Tensor("float32", images, imageShape) };
  if (targets) fixed.targets = targets;
  for (const { name, shape } of step.noise) {
    const dims = shape as readonly number[];
    fixed[name] = new Tensor("float32", Float32Array.from({ length: sizeOf(dims) }, rng.next), dims);
  }
  const start = Object.fromEntries(
    [...step.start(2)].map(([name, { data, dims }]) => [name, new Tensor("float32", data, dims)]),
  );
  const session = await openSession(writeModel(modelOf(step.graph)), { threads: 1 });
  const at = (states: Record<string, Tensor>, rate: number) =>
    session.run({ ...fixed, ...states, "scalar:rate": new Tensor("float32", [rate], []) });
  const number = (value: Tensor | undefined): number => Number(value!.data[0]);
  const first = await at(start, 0);
  const [loss, norm] = [number(first.loss), number(first.norm)];
  const rate = (5e-4 * loss) / norm ** 2;
  const moved = await at(start, rate);
  const there = Object.fromEntries(
    Object.entries(start).map(([name, value]) => [name, moved[`next/${name}`] ?? value]),
  );
  const fall = loss - number((await at(there, 0)).loss);
  await session.close();
  return { ratio: fall / (rate * norm ** 2), norm };
}
