import { constants, setPriority } from "node:os";
import { isProtolineError, ProtolineError, quote } from "../core/index.ts";
import { decodePicture, type PixelSet, toInput } from "../data/index.ts";
import {
  type Bundle,
  findBundle,
  keepLearned,
  learnedName,
  type Manifest,
  modelHash,
  shownLength,
} from "../models/index.ts";
import { defaultSteps, trainFurther } from "./further.ts";
import type { Assignment, FromChild, NewModel, ToChild } from "./messages.ts";

/**
 * The process that trains an encoder. It has the lowest priority, so that frames are answered first; its pictures come one by one
 * and only their pixels stay. When the process that asked is gone, it ends after the step under way.
 */
try {
  setPriority(constants.priority.PRIORITY_LOW);
} catch {
  // Where it may not be lowered, it is as it is.
}
const ends = new AbortController();
process.once("disconnect", () => ends.abort(new Error("nobody waits for it any more")));
// A terminal sends it to all that it started; who asked decides what becomes of this.
process.on("SIGINT", () => undefined);

/** Resolves when it is sent, or cannot be any more. */
const tell = (message: FromChild): Promise<void> =>
  new Promise((resolve) => {
    if (!process.connected) resolve();
    else process.send!(message, () => resolve());
  });

interface Begun extends Assignment {
  readonly bundle: Bundle;
  readonly pixels: Uint8Array;
  readonly labels: string[];
}
let begun: Begun | null = null;

process.on("message", (message: ToChild) => {
  void take(message)
    .catch((error: unknown) => tell({ kind: "failed", error: coded(error).toJSON() }).then(leave))
    .catch(leave);
});
const leave = (): void => {
  if (process.connected) process.disconnect();
};

async function take(message: ToChild): Promise<void> {
  if (message.kind === "begin") begun = await begin(message.assignment);
  else await look(begun!, message);
  const { labels, contentHashes } = begun!;
  if (labels.length < contentHashes.length) return tell({ kind: "next" });
  await tell({ kind: "done", ...(await learn(begun!)) });
  leave();
}

async function begin(assignment: Assignment): Promise<Begun> {
  const { model, sources, modelHash: wanted, contentHashes } = assignment;
  const bundle = await findBundle(model, sources);
  const found = modelHash(bundle.manifest);
  if (found !== wanted)
    throw new ProtolineError("MODEL_MISMATCH", {
      expected: `the model of the gallery (${wanted.slice(0, 12)})`,
      got: `${quote(model)} (${found.slice(0, 12)})`,
      todo: "Give this machine the model file that the gallery was made with.",
    });
  return { ...assignment, bundle, pixels: new Uint8Array(contentHashes.length * sizeOf(bundle)), labels: [] };
}

const planesOf = ({ preprocess }: Manifest): number => (preprocess.channels === "gray" ? 1 : 3);
const sizeOf = ({ manifest }: Bundle): number =>
  planesOf(manifest) * manifest.preprocess.size[0] * manifest.preprocess.size[1];

/** As the encoder sees it, but as bytes from 0 to 255: pictures are changed before they are scaled. */
async function look(
  { bundle, pixels, labels }: Begun,
  { label, bytes }: Extract<ToChild, { kind: "picture" }>,
): Promise<void> {
  const planes = planesOf(bundle.manifest);
  const input = toInput(await decodePicture(bytes), {
    ...bundle.manifest.preprocess,
    mean: Array<number>(planes).fill(0),
    std: Array<number>(planes).fill(1),
    standardize: "none",
  });
  pixels.set(
    input.map((value) => Math.round(value)),
    labels.length * input.length,
  );
  labels.push(label);
}

async function learn(begun: Begun): Promise<NewModel> {
  const { bundle, pixels, labels, options, gallery, revision, contentHashes, folder } = begun;
  const { manifest: from } = bundle;
  const [height, width] = from.preprocess.size;
  const set: PixelSet = { channels: planesOf(from), height, width, pixels, labels };
  const trained = await trainFurther(
    bundle,
    set,
    options,
    (progress) => void tell({ kind: "progress", ...progress }),
    ends.signal,
  );
  const { steps = defaultSteps, seed = 1 } = options;
  const shown = new Set([
    ...(from.learned?.shown ?? []),
    ...contentHashes.map((hash) => hash.slice(0, shownLength)),
  ]);
  const { provenance } = from;
  const done = `trained further on gallery ${quote(gallery)} (revision ${revision}), ${steps} steps, seed ${seed}`;
  const hash = modelHash(trained.manifest);
  const name = learnedName(from.name, hash);
  const kept = await keepLearned(
    {
      model: trained.model,
      manifest: {
        ...trained.manifest,
        name,
        provenance: {
          ...provenance,
          origin: `${from.name} (${modelHash(from).slice(0, 12)}) ${done}; ${provenance.origin}`,
          trainedOn: `${provenance.trainedOn}; ${labels.length} pictures of gallery ${quote(gallery)}`,
        },
        learned: {
          from: { name: from.name, modelHash: modelHash(from) },
          ...{ gallery, revision, steps, seed },
          shown: [...shown].sort(),
        },
      },
    },
    folder,
  );
  return { ...kept, name, modelHash: hash };
}

/** An error without a code is a fault of Protoline's own. */
const coded = (error: unknown): ProtolineError =>
  isProtolineError(error)
    ? error
    : new ProtolineError("INTERNAL", {
        expected: "an encoder that can be trained",
        got: error instanceof Error ? error.message : String(error),
        todo: "Try again; the log and the memory of the machine tell more.",
      });
