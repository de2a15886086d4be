import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createRng } from "../core/index.ts";
import { readModel, upgrade } from "../onnx/index.ts";
import {
  createBuilder,
  evaluate,
  type Graph,
  gradients,
  type NdArray,
  type OpName,
  type Tensor,
} from "./index.ts";

interface Packed {
  readonly dims: number[];
  readonly data: number[];
}

/** Made by scripts/golden_torch.py. */
interface Golden {
  readonly op: OpName;
  readonly name: string;
  readonly attributes: object;
  readonly inputs: Packed[];
  readonly dy: Packed;
  readonly y: Packed;
  readonly gradients: Packed[];
}

const golden: Golden[] = JSON.parse(
  readFileSync(new URL("../../test/graph/golden.json", import.meta.url), "utf8"),
);
const array = ({ dims, data }: Packed): NdArray => ({ dims, data: Float64Array.from(data) });

describe("PyTorch agrees in double precision", () => {
  it.each(golden.map((values) => [`${values.op} ${values.name}`, values] as const))("%s", (_, values) => {
    const g = createBuilder();
    const x = values.inputs.map(({ dims }, i) => g.input(`x${i}`, "float32", dims));
    const dy = g.input("dy", "float32", values.dy.dims);
    const channels = Number(x[0]!.shape[1]);
    const vector: Tensor = { dtype: "float32", dims: [channels], data: new Float32Array(channels) };
    const extra = values.op === "BatchNormalization" ? [vector, vector] : [];
    const outputs = values.op === "BatchNormalization" ? 3 : 1;
    const y = g.emit(values.op, [...x, ...extra], values.attributes, outputs)[0]!;
    const loss = g.ReduceSum(g.Mul(y, dy), undefined, { keepdims: 0 });
    const made = Object.fromEntries(gradients(g, loss, x).map((d, i) => [`d${i}`, d]));
    const feeds = Object.fromEntries(values.inputs.map((input, i) => [`x${i}`, array(input)]));
    const results = evaluate(g.build({ y, ...made }), { ...feeds, dy: array(values.dy) });
    const pairs = [[results.y, values.y], ...values.gradients.map((d, i) => [results[`d${i}`], d])] as const;
    for (const [got, wanted] of pairs) {
      expect(got!.dims).toEqual(wanted!.dims);
      const worst = Math.max(...Array.from(got!.data, (v, i) => Math.abs(v - wanted!.data[i]!)));
      // Constants such as epsilon are float32 in the graph.
      expect(worst / Math.max(1, ...wanted!.data.map(Math.abs))).toBeLessThan(1e-7);
    }
  });
});

const mobileNet = new URL("../../../shared/models/mobilenet-v2-224.onnx", import.meta.url);

describe.skipIf(!existsSync(mobileNet))("an imported MobileNetV2 (skipped without ../shared/models)", () => {
  it("has the gradient of finite differences, at the first, a depthwise and the last convolution", () => {
    const { graph } = upgrade(readModel(readFileSync(mobileNet)));
    const rng = createRng(2);
    const image: NdArray = {
      dims: [1, 3, 32, 32],
      data: Float64Array.from({ length: 3072 }, () => rng.normal()),
    };
    const g = createBuilder("trainable", {
      ...graph,
      inputs: [{ ...graph.inputs[0]!, shape: [1, 3, 32, 32] }],
    });
    const embedding = g.value(graph.outputs[0]!.name);
    const loss = g.ReduceSum(g.Mul(embedding, embedding), undefined, { keepdims: 0 });
    const convs = graph.nodes.filter(({ op }) => op === "Conv");
    const weights = [convs[0]!, convs[1]!, convs.at(-1)!].map(({ inputs }) => g.value(inputs[1]!));
    const made = Object.fromEntries(gradients(g, loss, weights).map((d, i) => [`d${i}`, d]));
    const input = graph.inputs[0]!.name;
    const slopes = evaluate(g.build(made), { [input]: image });
    const forward = g.build({ loss });
    weights.forEach((w, i) => {
      const { dims, data } = graph.initializers.get(w.name)! as Tensor<"float32">;
      const direction = Array.from(data, () => rng.normal());
      const along = slopes[`d${i}`]!.data.reduce((sum, v, k) => sum + v * direction[k]!, 0);
      // Longer steps cross the kinks of some of the many clipped units.
      const step = 1e-8;
      const at = (t: number): number => {
        const moved = Float64Array.from(data, (v, k) => v + t * direction[k]!);
        const shifted: Graph = {
          ...forward,
          initializers: new Map<string, Tensor>([
            ...forward.initializers,
            [w.name, { dtype: "float64", dims, data: moved }],
          ]),
        };
        return evaluate(shifted, { [input]: image }).loss!.data[0]!;
      };
      const measured = (at(step) - at(-step)) / (2 * step);
      expect(Math.abs(along - measured) / Math.abs(measured)).toBeLessThan(1e-6);
    });
  });
});
