import {
  createRng,
  type Embeddings,
  inSlices,
  isProtolineError,
  ProtolineError,
  quote,
  row,
  stack,
} from "../core/index.ts";
import {
  type Decided,
  type DecisionPriors,
  type DecisionSpec,
  fitDecision,
  type Limit,
  type TuneReport,
  tune,
} from "../fewshot/index.ts";
import type { Encoder } from "../models/types.ts";
import {
  type AddResult,
  type Change,
  checkLabel,
  type GallerySnapshot,
  type GalleryStore,
  type NewSample,
  type RevisionInfo,
  type Sample,
} from "../store/pure.ts";
import { embedAgain } from "./embed-again.ts";
import { type Eye, embedViews, look, lookAndKeep } from "./look.ts";
import { modelMismatch, type RecognizerParts } from "./prepare.ts";
import { withoutSamePixels } from "./same-pixels.ts";
import { createSight, type Sight } from "./sight.ts";
import { buildSnapshot, nearestSupport, type Snapshot, toSupport } from "./snapshot.ts";
import type {
  EnrollOptions,
  EnrollResult,
  Recognition,
  RecognizeOptions,
  RecognizerCore,
  TuneOptions,
} from "./types.ts";
import { type PictureReader, toViews } from "./views.ts";

/** Pictures decoded and embedded at a time: bounds memory, and lets recognitions in between. */
const chunkSize = 8;

/**
 * Encoder + store + decision: shows pictures of a part once, and knows it from the next frame on.
 *
 * A recognition works on an immutable snapshot that it takes at its beginning; enrollments build the next snapshot
 * beside it and swap a pointer. So a recognition never waits for an enrollment and never sees half of one. A revision of
 * another model brings its encoder with it (`encoderFor`): the two are swapped at once, and the old encoder is released when
 * what it was asked is answered.
 */
export class GalleryRecognizer<Image> implements RecognizerCore<Image> {
  readonly store: GalleryStore;
  readonly gallery: string;
  readonly #reader: PictureReader<Image>;
  readonly #options: RecognizerParts<Image>["options"];
  readonly #owned: RecognizerParts<Image>["owned"];
  /** Changed together with the snapshot, whose model it is. */
  #sight: Sight;
  #snapshot: Snapshot;
  /** Enrolled here, and part of the next revision. */
  #waiting: Sample[] = [];
  /** Changes of the gallery made here wait for each other. */
  #changes: Promise<unknown> = Promise.resolve();

  /** @param snapshot of the same gallery; see {@link prepare}. */
  protected constructor(
    { encoder, release = () => undefined, store, gallery, reader, options, owned }: RecognizerParts<Image>,
    snapshot: Snapshot,
  ) {
    this.store = store;
    this.gallery = gallery;
    this.#reader = reader;
    this.#options = options;
    this.#owned = owned;
    this.#sight = createSight({ encoder, release });
    this.#snapshot = snapshot;
  }

  #eye({ encoder }: Sight): Eye<Image> {
    return { encoder, reader: this.#reader, limits: this.#options.limits };
  }

  /** Of the revision that recognitions use now. */
  get encoder(): Encoder {
    return this.#sight.encoder;
  }

  /** The revision that recognitions use now. */
  get revision(): RevisionInfo {
    return this.#snapshot.source.revision;
  }

  /** The decision that recognitions use now. */
  get decision(): DecisionSpec {
    return this.#snapshot.source.decision;
  }

  /** The gallery keeps a decision that an older Protoline stored; see `tune --default`. */
  get decisionIsOlder(): boolean {
    return this.#snapshot.source.decisionIsOlder;
  }

  /** Where each class ends, by its label; empty for a gallery without classes. */
  get limits(): ReadonlyMap<string, Limit> {
    return this.#snapshot.decision?.limits ?? new Map();
  }

  async enroll(label: string, images: readonly Image[], options: EnrollOptions = {}): Promise<EnrollResult> {
    const started = performance.now();
    const name = checkLabel(label);
    for (;;) {
      const sight = this.#sight;
      const result = await sight.use(() => this.#enrollBy(sight, name, images, options, started));
      // Another model has come meanwhile, whose embeddings the pictures need.
      if (result) return result;
    }
  }

  /** `null` where the gallery has another model by now. */
  async #enrollBy(
    sight: Sight,
    name: string,
    images: readonly Image[],
    options: EnrollOptions,
    started: number,
  ): Promise<EnrollResult | null> {
    const { keep = "original", now = Date.now } = this.#options;
    const views = this.decision.views.support;
    const rejected: { origin: string; code: EnrollResult["rejected"][number]["code"]; message: string }[] =
      [];
    const samples: NewSample[] = [];
    const ms = { decode: 0, embed: 0, store: 0, total: 0 };

    for (let from = 0; from < images.length; from += chunkSize) {
      const chunk = images.slice(from, from + chunkSize);
      const origins = chunk.map(
        (image, i) => options.origins?.[from + i] ?? this.#reader.origin(image, from + i),
      );
      const looked = await lookAndKeep(this.#eye(sight), chunk, { views, keep, region: options.region });
      for (const [i, it] of looked.entries()) {
        const origin = origins[i]!;
        if (it instanceof Error) {
          rejected.push({ origin, code: it.code, message: it.message });
          continue;
        }
        ms.decode += it.ms.decode;
        ms.embed += it.ms.embed;
        const { contentHash, image } = it;
        const embeddings = Array.from({ length: it.embeddings.n }, (_, k) => row(it.embeddings, k).slice());
        samples.push({ label: name, embeddings, contentHash, image, origin, time: now() });
      }
    }

    const change: Change = {
      who: options.who ?? "unknown",
      reason: options.reason ?? `enroll ${quote(name)}`,
    };
    const storeStarted = performance.now();
    let taken: readonly NewSample[] = samples;
    const result = await this.#exclusive(async () => {
      if (sight !== this.#sight) return null;
      if (!options.allowOtherClass) {
        const { kept, refused } = withoutSamePixels(name, samples, [...this.samples, ...this.#waiting]);
        taken = kept;
        for (const { origin, error } of refused)
          rejected.push({ origin, code: error.code, message: error.message });
      }
      const added = await this.#add(taken, {
        ...change,
        modelHash: sight.encoder.modelHash,
        allowOtherClass: options.allowOtherClass ?? false,
      });
      if (!added) return null;
      for (const { id, index } of added.added) {
        const { image: _, ...sample } = taken[index]!;
        this.#waiting.push({ ...sample, id, who: change.who });
      }
      await this.#advance(added.revision);
      return added;
    });
    if (!result) return null;
    ms.store = performance.now() - storeStarted;
    ms.total = performance.now() - started;

    for (const { index, label: other } of result.conflicts) {
      const error = new ProtolineError("SAMPLE_IN_OTHER_CLASS", {
        expected: `a picture of ${quote(name)} alone`,
        got: `one that ${quote(other)} holds already`,
        todo: "Remove it there, or enroll it with allowOtherClass if both names are right.",
      });
      rejected.push({ origin: taken[index]!.origin, code: error.code, message: error.message });
    }
    return {
      label: name,
      added: result.added.map(({ id, index }) => ({ id, origin: taken[index]!.origin })),
      duplicates: result.duplicates.map((index) => taken[index]!.origin),
      rejected,
      revision: result.revision.number,
      pending: result.pending,
      limit: this.limits.get(name) ?? null,
      ms,
    };
  }

  /** `null` where another process gave the gallery another model, which is then at hand. */
  async #add(
    samples: readonly NewSample[],
    change: Parameters<GalleryStore["addSamples"]>[2],
  ): Promise<AddResult | null> {
    try {
      return await this.store.addSamples(this.gallery, samples, change);
    } catch (error) {
      if (!isProtolineError(error) || error.code !== "MODEL_MISMATCH") throw error;
      const sight = this.#sight;
      await this.#advance(null);
      if (sight === this.#sight) throw error;
      return null;
    }
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
    const [snapshot, sight] = [this.#snapshot, this.#sight];
    if (!snapshot.decision)
      throw new ProtolineError("GALLERY_EMPTY", {
        expected: `at least one class in gallery ${quote(this.gallery)}`,
        got: "none",
        todo: "Enroll a few pictures of each part first.",
      });
    return sight.use(async () => {
      const answers: (Recognition | Error)[] = [];
      for (let from = 0; from < images.length; from += chunkSize)
        answers.push(
          ...(await this.#answerChunk(snapshot, sight, images.slice(from, from + chunkSize), region, topK)),
        );
      return answers;
    });
  }

  async #answerChunk(
    snapshot: Snapshot,
    sight: Sight,
    images: readonly Image[],
    region: RecognizeOptions["region"],
    topK: number,
  ): Promise<(Recognition | Error)[]> {
    const decision = snapshot.decision!;
    const looked = await look(this.#eye(sight), images, { views: decision.spec.views.query, region });
    return looked.map((it, i) => {
      if (it instanceof Error) return it;
      const { embeddings, ms } = it;
      const matchStarted = performance.now();
      const decided = decision.decide(embeddings, { topK });
      const best = decided.candidates[0]!;
      const labels = decided.candidates.map(({ label }) => label);
      const support = nearestSupport(snapshot, labels, embeddings, topK);
      const match = performance.now() - matchStarted;
      const answer = {
        candidates: decided.candidates,
        limit: decided.limit,
        confidence: best.confidence,
        distance: best.distance,
        nearestSupport: support,
        gallery: this.gallery,
        revision: snapshot.source.revision.number,
        model: sight.encoder.manifest.name,
        modelHash: sight.encoder.modelHash,
        ms: { ...ms, match, total: ms.decode + ms.embed + match },
      };
      const recognition: Recognition =
        decided.kind === "known"
          ? { kind: decided.kind, label: decided.label, ...answer }
          : { kind: decided.kind, ...answer };
      const { onRecognition } = this.#options;
      onRecognition?.({
        image: images[i]!,
        region,
        answer: recognition,
        embedding: decision.transform(row(embeddings, 0)),
        raw: embeddings,
      });
      return recognition;
    });
  }

  async embed(images: readonly Image[]): Promise<Embeddings> {
    const sight = this.#sight;
    return sight.use(() => this.#embedBy(sight.encoder, images));
  }

  async #embedBy(encoder: Encoder, images: readonly Image[]): Promise<Embeddings> {
    const rows: Float32Array[] = [];
    for (let from = 0; from < images.length; from += chunkSize) {
      const chunk = images.slice(from, from + chunkSize);
      const inputs = await Promise.all(
        chunk.map(async (image) => {
          const loaded = await this.#reader.load(image);
          return toViews(loaded, [], encoder.manifest);
        }),
      );
      rows.push(...(await embedViews(encoder, inputs)).flat());
    }
    return stack(rows, encoder.embeddingDim);
  }

  async refresh(): Promise<number> {
    return this.#exclusive(async () => {
      const { head } = await this.store.gallery(this.gallery);
      const { number, hash } = this.revision;
      if (head.number !== number || head.hash !== hash) await this.#advance(null);
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
   * Chooses views, transform and head on the gallery's own pictures, and takes the choice over as a new revision where
   * it differs from the decision at hand. See `fewshot/tune`.
   *
   * @throws TOO_FEW_SAMPLES without a class of two pictures.
   */
  async tune(
    options: TuneOptions = {},
  ): Promise<{ readonly chosen: DecisionSpec; readonly report: TuneReport }> {
    const { views = [], apply = true, seed = 1, who = "unknown" } = options;
    const { from = this.decision, choose = true, falseRejectRate } = options;
    const samples = views.length > 0 ? await this.embedSupport(views) : this.samples;
    const support = toSupport(samples, this.encoder.embeddingDim);
    const asked = { current: from, choose, views, ...(falseRejectRate !== undefined && { falseRejectRate }) };
    const result = tune(support, asked, this.priors, createRng(seed));
    if (apply && JSON.stringify(result.chosen) !== JSON.stringify(this.decision))
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
    const { store, gallery, encoder } = this;
    const embedded = await embedAgain({ store, gallery, encoder, reader: this.#reader }, samples, kinds);
    return samples.map((sample) => ({ ...sample, embeddings: embedded.get(sample.id)! }));
  }

  /** The samples that recognitions compare with now. */
  get samples(): readonly Sample[] {
    return this.#snapshot.source.samples;
  }

  /** What each support picture would be told if it were not in the gallery; see FittedDecision.leaveOneOut. */
  leaveOneOut(): readonly { readonly sample: Sample; readonly decided: Decided<string> }[] {
    const { samples, decision, dim } = this.#snapshot.source;
    if (samples.length === 0) return [];
    const { byLabel } = this.#snapshot;
    // Fitted anew, so that its pictures are in the order of the samples.
    return fitDecision(toSupport(samples, dim), decision, this.priors)
      .leaveOneOut()
      .map(({ label, picture, decided }) => ({ sample: byLabel.get(label)![picture]!, decided }));
  }

  get priors(): DecisionPriors {
    return this.#sight.priors;
  }

  async close(): Promise<void> {
    await this.#changes.catch(() => undefined);
    this.#sight.retire();
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
   * only what was enrolled here, nothing is read from the store.
   */
  async #advance(revision: RevisionInfo | null): Promise<void> {
    const { source } = this.#snapshot;
    if (revision?.number === source.revision.number) return;
    const follows = revision?.parent === source.revision.number;
    const samples = follows ? [...source.samples, ...this.#waiting] : null;
    const next =
      revision && samples?.length === revision.samples
        ? { ...source, revision, samples }
        : await this.store.snapshot(this.gallery);
    const before = this.#sight;
    const sight = next.modelHash === before.encoder.modelHash ? before : await this.#sightOf(next);
    try {
      const snapshot = await inSlices(buildSnapshot(next, sight.priors, this.#snapshot));
      [this.#snapshot, this.#sight, this.#waiting] = [snapshot, sight, []];
    } catch (error) {
      if (sight !== before) sight.retire();
      throw error;
    }
    if (sight !== before) before.retire();
  }

  /** @throws MODEL_MISMATCH where the model of the gallery is not to be had. */
  async #sightOf({ model, modelHash }: Pick<GallerySnapshot, "model" | "modelHash">): Promise<Sight> {
    const lease = await this.#options.encoderFor?.({ model, modelHash });
    if (!lease) throw modelMismatch({ model, modelHash, name: this.gallery }, this.encoder);
    return createSight(lease);
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#changes.then(work, work);
    this.#changes = result.catch(() => undefined);
    return result;
  }
}
