import { type Graph, type Probe, probeGraph, probeResult, rewriteFor } from "../graph/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import { openSession, type Session, type SessionOptions, Tensor } from "../runtime/index.ts";

let probing: Promise<Probe> | undefined;

/** What the runtime has on this machine beyond the standard operators; asked once a process. */
function probe(): Promise<Probe> {
  probing ??= askRuntime().then(probeResult, () => probeResult(null));
  return probing;
}

async function askRuntime(): Promise<readonly number[]> {
  const session = await openSession(writeModel(modelOf(probeGraph())));
  try {
    const { y } = await session.run({ x: new Tensor("float32", new Float32Array(4), [1, 4, 1, 1]) });
    return y!.dims;
  } finally {
    await session.close();
  }
}

/** Opens the graph in the form that is quickest on the provider; the numbers are the same up to rounding. */
export async function compile(graph: Graph, options: SessionOptions = {}): Promise<Session> {
  const rewrite = rewriteFor(options.provider ?? "cpu", await probe());
  return openSession(writeModel(modelOf(rewrite(graph))), options);
}
