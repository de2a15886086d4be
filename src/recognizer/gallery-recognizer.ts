import { createRng, type Embeddings, isProtolineError, ProtolineError, quote, stack } from "../core/index.ts";
import { type DecisionPriors, type DecisionSpec, type TuneReport, tune } from "../fewshot/index.ts";
import type { Encoder } from "../models/types.ts";
import {
  type Change,
  checkLabel,
  type GalleryStore,
  type NewSample,
  type RevisionInfo,
  type Sample,
} from "../store/pure.ts";
import { modelMismatch, priorsOf, type RecognizerParts } from "./prepare.ts";
import { createRunningMean, type RunningMean } from "./running-mean.ts";
import { buildSnapshot, nearestSupport, type Snapshot, toSupport } from "./snapshot.ts";
import type {
  EnrollOptions,
  EnrollResult,
  Recognition,
  RecognizeOptions,
  RecognizerCore,
  TuneOptions,
} from "./types.ts";
import { keptImage, type PictureReader, toViews } from "./views.ts";

/** Pictures decoded and embedded at a time: bounds memory, and lets recognitions in between. */
const chunkSize = 8;

/**
 * Encoder + store + decision: shows pictures of a part once, and knows it from the next frame on.
 *
 * A recognition works on an immutable snapshot that it takes at its beginning; enrollments build the next snapshot
 * beside it and swap a pointer. So a recognition never waits for an enrollment and never sees half of one.
 */
export class GalleryRecognizer<Image> implements RecognizerCore<Image> {
  readonly encoder: Encoder;
  readonly store: GalleryStore;
  readonly gallery: string;
  readonly #reader: PictureReader<Image>;
  readonly #options: RecognizerParts<Image>["options"];
  readonly #owned: RecognizerParts<Image>["owned"];
  readonly #priors: DecisionPriors;
  #snapshot: Snapshot;
  #runningMean: RunningMean;
  /** Changes of the gallery made here wait for each other. */
  #changes: Promise<unknown> = Promise.resolve();

  /** @param snapshot of the same gallery; see {@link prepare}. */
  protected constructor(
    { encoder, store, gallery, reader, options, owned }: RecognizerParts<Image>,
    snapshot: Snapshot,
  ) {
    this.encoder = encoder;
    this.store = store;
    this.gallery = gallery;
    this.#reader = reader;
    this.#options = options;
    this.#owned = owned;
    this.#priors = priorsOf(encoder);
    this.#snapshot = snapshot;
    this.#runningMean = createRunningMean(snapshot.source.decision.transform);
  }

  /** The revision that recognitions use now. */
  get revision(): RevisionInfo {
    return this.#snapshot.source.revision;
  }

  /** The decision that recognitions use now. */
  get decision(): DecisionSpec {
    return this.#snapshot.source.decision;
  }

  async enroll(label: string, images: readonly Image[], options: EnrollOptions = {}): Promise<EnrollResult> {
    const started = performance.now();
    const name = checkLabel(label);
    const { keep = "original", now = Date.now } = this.#options;
    const views = this.decision.views.support;
    const rejected: { origin: string; code: EnrollResult["rejected"][number]["code"]; message: string }[] =
      [];
    const samples: NewSample[] = [];
    const ms = { decode: 0, embed: 0, store: 0, total: 0 };

    for (let from = 0; from < images.length; from += chunkSize) {
      const decodeStarted = performance.now();
      const chunk = await Promise.all(
        images.slice(from, from + chunkSize).map(async (image, i) => {
          const origin = options.origins?.[from + i] ?? this.#reader.origin(image, from + i);
          try {
            const loaded = await this.#reader.load(image, options.region);
            const inputs = toViews(loaded, views, this.encoder.manifest);
            return { origin, loaded, inputs, kept: await keptImage(loaded, keep, this.#reader) };
          } catch (error) {
            if (!isProtolineError(error)) throw error;
            rejected.push({ origin, code: error.code, message: error.message });
            return null;
          }
        }),
      );
      const good = chunk.filter((entry) => entry !== null);
      const embedStarted = performance.now();
      const embeddings = await this.#embedViews(good.map(({ inputs }) => inputs));
      ms.decode += embedStarted - decodeStarted;
      ms.embed += performance.now() - embedStarted;
      good.forEach(({ origin, loaded, kept }, i) => {
        samples.push({
          label: name,
          embeddings: embeddings[i]!,
          contentHash: loaded.contentHash,
          image: kept,
          origin,
          time: now(),
        });
      });
    }

    const change: Change = {
      who: options.who ?? "unknown",
      reason: options.reason ?? `enroll ${quote(name)}`,
    };
    const storeStarted = performance.now();
    const result = await this.#exclusive(async () => {
      const added = await this.store.addSamples(this.gallery, samples, {
        ...change,
        modelHash: this.encoder.modelHash,
        allowOtherClass: options.allowOtherClass ?? false,
      });
      await this.#advance(added.revision, () =>
        added.added.map(({ id, index }): Sample => {
          const { image: _, ...sample } = samples[index]!;
          return { ...sample, id, who: change.who };
        }),
      );
      return added;
    });
    ms.store = performance.now() - storeStarted;
    ms.total = performance.now() - started;

    for (const { index, label: other } of result.conflicts) {
      const error = new ProtolineError("SAMPLE_IN_OTHER_CLASS", {
        expected: `a picture of ${quote(name)} alone`,
        got: `one that ${quote(other)} holds already`,
        todo: "Remove it there, or enroll it with allowOtherClass if both names are right.",
      });
      rejected.push({ origin: samples[index]!.origin, code: error.code, message: error.message });
    }
    return {
      label: name,
      added: result.added.map(({ id, index }) => ({ id, origin: samples[index]!.origin })),
      duplicates: result.duplicates.map((index) => samples[index]!.origin),
      rejected,
      revision: result.revision.number,
      pending: result.pending,
      ms,
    };
  }

  async recognize(image: Image, options: RecognizeOptions = {}): Promise<Recognition> {
    const [answer] = await this.recognizeBatch([image], options);
    if (answer instanceof Error) throw answer;
    return answer!;
  }

  async recognizeBatch(
    images: readonly Image[],
    { region, topK = 3 }: RecognizeOptions = {},
  ): Promise<readonly (Recognition | Error)[]> {
    const snapshot = this.#snapshot;
    if (!snapshot.decision)
      throw new ProtolineError("GALLERY_EMPTY", {
        expected: `at least one class in gallery ${quote(this.gallery)}`,
        got: "none",
        todo: "Enroll a few pictures of each part first.",
      });
    const answers: (Recognition | Error)[] = [];
    for (let from = 0; from < images.length; from += chunkSize)
      answers.push(
        ...(await this.#answerChunk(snapshot, images.slice(from, from + chunkSize), region, topK)),
      );
    return answers;
  }

  async #answerChunk(
    snapshot: Snapshot,
    images: readonly Image[],
    region: RecognizeOptions["region"],
    topK: number,
  ): Promise<(Recognition | Error)[]> {
    const decision = snapshot.decision!;
    const started = performance.now();
    const decoded = await Promise.all(
      images.map(async (image): Promise<Float32Array[] | ProtolineError> => {
        try {
          const loaded = await this.#reader.load(image, region);
          return toViews(loaded, decision.spec.views.query, this.encoder.manifest);
        } catch (error) {
          if (isProtolineError(error)) return error;
          throw error;
        }
      }),
    );
    const embedStarted = performance.now();
    const embedded = await this.#embedViews(decoded.map((views) => (views instanceof Error ? [] : views)));
    const embedEnded = performance.now();
    // Times of a chunk are shared evenly: what one frame of it cost.
    const ms = {
      decode: (embedStarted - started) / images.length,
      embed: (embedEnded - embedStarted) / images.length,
    };

    const running = decision.spec.transform.center === "running" ? this.#runningMean : null;
    return decoded.map((views, i) => {
      if (views instanceof Error) return views;
      const matchStarted = performance.now();
      const embeddings = stack(embedded[i]!, this.encoder.embeddingDim);
      const runningMean = running?.current();
      running?.observe(embeddings);
      const decided = decision.decide(embeddings, { topK, ...(runningMean && { runningMean }) });
      const best = decided.candidates[0]!;
      const labels = decided.candidates.map(({ label }) => label);
      const support = nearestSupport(snapshot, labels, embeddings, topK, runningMean);
      const match = performance.now() - matchStarted;
      const answer = {
        candidates: decided.candidates,
        confidence: best.confidence,
        distance: best.distance,
        nearestSupport: support,
        gallery: this.gallery,
        revision: snapshot.source.revision.number,
        model: this.encoder.manifest.name,
        ms: { ...ms, match, total: ms.decode + ms.embed + match },
      };
      return decided.kind === "known"
        ? { kind: decided.kind, label: decided.label, ...answer }
        : { kind: decided.kind, ...answer };
    });
  }

  async embed(images: readonly Image[]): Promise<Embeddings> {
    const rows: Float32Array[] = [];
    for (let from = 0; from < images.length; from += chunkSize) {
      const chunk = images.slice(from, from + chunkSize);
      const inputs = await Promise.all(
        chunk.map(async (image) => {
          const loaded = await this.#reader.load(image);
          return toViews(loaded, [], this.encoder.manifest);
        }),
      );
      rows.push(...(await this.#embedViews(inputs)).flat());
    }
    return stack(rows, this.encoder.embeddingDim);
  }

  async refresh(): Promise<number> {
    return this.#exclusive(async () => {
      await this.#advance(null);
      return this.revision.number;
    });
  }

  /**
   * Another decision for the same samples, as a new revision. Where it wants other views of the support pictures,
   * the kept pictures are embedded again.
   *
   * @throws MODEL_MISMATCH when views are wanted of pictures that were not kept.
   */
  async setDecision(decision: DecisionSpec, change: Change): Promise<RevisionInfo> {
    const views = JSON.stringify(decision.views.support);
    if (views !== JSON.stringify(this.decision.views.support)) return this.#reembed(decision, change);
    return this.#exclusive(async () => {
      const revision = await this.store.setDecision(this.gallery, decision, change);
      await this.#advance(null);
      return revision;
    });
  }

  /**
   * Chooses views, transform, head and open-set score on the gallery's own pictures, and takes the choice over as a
   * new revision where it differs from the decision at hand. See `fewshot/tune`.
   *
   * @throws TOO_FEW_SAMPLES without two classes of two pictures each.
   */
  async tune(
    options: TuneOptions = {},
  ): Promise<{ readonly chosen: DecisionSpec; readonly report: TuneReport }> {
    const { views = [], apply = true, seed = 1, who = "unknown" } = options;
    const current = this.decision;
    const samples = views.length > 0 ? await this.embedSupport(views) : this.samples;
    const support = toSupport(samples, this.encoder.embeddingDim);
    const result = tune(support, { current, views }, this.#priors, createRng(seed));
    if (apply && JSON.stringify(result.chosen) !== JSON.stringify(current))
      await this.setDecision(result.chosen, { who, reason: `tune: ${result.report.summary}` });
    return result;
  }

  /**
   * The samples that recognitions compare with now, with the views of `kinds`, embedded from the kept pictures.
   *
   * @throws MODEL_MISMATCH for a picture that was not kept.
   */
  async embedSupport(kinds: DecisionSpec["views"]["support"]): Promise<readonly Sample[]> {
    return this.#embedAgain(this.samples, kinds);
  }

  async #embedAgain(samples: readonly Sample[], kinds: DecisionSpec["views"]["support"]): Promise<Sample[]> {
    const result: Sample[] = [];
    for (const sample of samples) {
      const kept = await this.store.image(this.gallery, sample.id);
      if (!kept)
        throw new ProtolineError("MODEL_MISMATCH", {
          expected: "a kept picture of every sample, to embed it again",
          got: `none of ${quote(sample.origin)} in class ${quote(sample.label)}`,
          todo: "Enroll the pictures again with the model and views that you want.",
        });
      const { picture } = await this.#reader.load(kept.bytes);
      const [embeddings] = await this.#embedViews([
        toViews({ picture, contentHash: sample.contentHash }, kinds, this.encoder.manifest),
      ]);
      result.push({ ...sample, embeddings: embeddings! });
    }
    return result;
  }

  /** The samples that recognitions compare with now. */
  get samples(): readonly Sample[] {
    return this.#snapshot.source.samples;
  }

  get priors(): DecisionPriors {
    return this.#priors;
  }

  async close(): Promise<void> {
    await this.#changes.catch(() => undefined);
    for (const part of this.#owned) await part.close();
  }

  /** Embeds the kept pictures again where another model made the gallery; part of opening. */
  protected async takeOver(): Promise<void> {
    if (this.#snapshot.source.modelHash !== this.encoder.modelHash)
      await this.#reembed(this.encoder.manifest.decision, { who: "protoline", reason: "another model" });
  }

  async #reembed(decision: DecisionSpec, change: Change): Promise<RevisionInfo> {
    const { encoder } = this;
    return this.#exclusive(async () => {
      // Waiting samples have embeddings of the old kind: they join first, so that they are embedded again too.
      await this.store.publish(this.gallery, change);
      const { samples: all } = await this.store.snapshot(this.gallery);
      const samples = await this.#embedAgain(all, decision.views.support);
      const revision = await this.store.replaceEmbeddings(
        this.gallery,
        {
          model: encoder.manifest.name,
          modelHash: encoder.modelHash,
          dim: encoder.embeddingDim,
          decision,
          embeddings: new Map(samples.map(({ id, embeddings }) => [id, embeddings])),
        },
        change,
      );
      await this.#advance(null);
      return revision;
    });
  }

  /**
   * Swaps in the snapshot of the store's head. When `revision` follows directly on the snapshot at hand and brought
   * only `added`, nothing is read from the store.
   */
  async #advance(revision: RevisionInfo | null, added?: () => readonly Sample[]): Promise<void> {
    const { source } = this.#snapshot;
    if (revision?.number === source.revision.number) return;
    const follows = revision?.parent === source.revision.number;
    const samples = follows && added ? [...source.samples, ...added()] : null;
    const next =
      revision && samples?.length === revision.samples
        ? { ...source, revision, samples }
        : await this.store.snapshot(this.gallery);
    if (next.modelHash !== this.encoder.modelHash)
      throw modelMismatch({ ...next, name: this.gallery }, this.encoder);
    if (JSON.stringify(next.decision.transform) !== JSON.stringify(source.decision.transform))
      this.#runningMean = createRunningMean(next.decision.transform);
    this.#snapshot = buildSnapshot(next, this.#priors, this.#snapshot);
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#changes.then(work, work);
    this.#changes = result.catch(() => undefined);
    return result;
  }

  /** One forward pass for all views of all pictures, split again by picture. */
  async #embedViews(pictures: readonly (readonly Float32Array[])[]): Promise<Float32Array[][]> {
    const inputs = pictures.flat();
    if (inputs.length === 0) return pictures.map(() => []);
    const { data, dim } = await this.encoder.embed(inputs);
    let at = 0;
    return pictures.map((views) =>
      views.map(() => {
        const start = at++ * dim;
        return data.slice(start, start + dim);
      }),
    );
  }
}
