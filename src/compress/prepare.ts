import { ProtolineError, quote } from "../core/index.ts";
import { type Graph, removeDead, widenWeights } from "../graph/index.ts";
import type { Bundle } from "../models/index.ts";
import { readModel, upgrade } from "../onnx/index.ts";
import { foldNorms } from "./fold-norms.ts";

/**
 * The graph of a bundle in the form that compression works on: standard operators of the newest known set, the embedding
 * as its only output, weights in float32, batch normalisation folded into the convolutions before it.
 *
 * @throws MODEL_UNSUPPORTED for a model that is quantised already, MODEL_BROKEN for a file that is none.
 */
export function prepare({ manifest, model }: Bundle): Graph {
  const { graph } = upgrade(readModel(model));
  const quantised = graph.nodes.find(({ op }) => /Quantize|QLinear/.test(op));
  if (quantised)
    throw new ProtolineError("MODEL_UNSUPPORTED", {
      expected: "a model in floating point",
      got: `${quote(manifest.name)}, which has ${quantised.op} in it`,
      todo: "Start from the model as it was before it was quantised.",
    });
  const outputs = graph.outputs.filter(({ name }) => name === manifest.output);
  return foldNorms(removeDead(widenWeights({ ...graph, outputs })));
}
