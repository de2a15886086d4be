import { join } from "node:path";
import { isProtolineError, ProtolineError, quote } from "../core/index.ts";
import { type Tensor, widenWeights } from "../graph/index.ts";
import { type Bundle, readBundle } from "../models/index.ts";
import { readModel } from "../onnx/index.ts";
import { readCheckpoint } from "./checkpoint.ts";

/**
 * The weights that a config's `initial` names: of an earlier run its best by validation or else its last, or those of a
 * bundle that was trained here.
 *
 * @throws CONFIG_INVALID where there is neither; CHECKPOINT_INVALID, BUNDLE_INVALID, MODEL_BROKEN.
 */
export async function readInitial(path: string): Promise<ReadonlyMap<string, Tensor<"float32">>> {
  for (const file of ["best.ckpt", "last.ckpt"]) {
    const found = await readCheckpoint(join(path, file));
    if (found) return found.states;
  }
  try {
    return bundleWeights(await readBundle(path));
  } catch (error) {
    if (!isProtolineError(error) || error.code !== "MODEL_NOT_FOUND") throw error;
    throw new ProtolineError("CONFIG_INVALID", {
      expected: 'a folder of an earlier run, or a bundle, in field "initial"',
      got: `neither a checkpoint nor a bundle at ${quote(path, 200)}`,
      todo: "Run the training that this one starts from first, or correct the path.",
      cause: error,
    });
  }
}

/** The float32 constants of a bundle's graph, by the name that its layers call them. */
function bundleWeights({ model }: Bundle): Map<string, Tensor<"float32">> {
  const { initializers } = widenWeights(readModel(model).graph);
  return new Map(
    [...initializers].filter((entry): entry is [string, Tensor<"float32">] => entry[1].dtype === "float32"),
  );
}
