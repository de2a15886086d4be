import { ProtolineError, quote } from "../core/index.ts";
import { currentDecision } from "../fewshot/index.ts";
import type { DecisionSpec, HeadSpec, Metric, TransformSpec, ViewKind } from "../fewshot/types.ts";
import { checkLabel, tidy } from "./labels.ts";
import { type ApiKeyRecord, apiScopes, type KeptImage, type NewSample, type RefreshPolicy } from "./store.ts";

/** What comes from outside is checked here, once, before anything is written. */

// Tables and not lists: a word that fewshot adds to a union and that is missing here does not compile.
const metrics: Record<Metric, true> = {
  squaredEuclidean: true,
  euclidean: true,
  cosine: true,
};
const centers: Record<TransformSpec["center"], true> = {
  none: true,
  base: true,
  gallery: true,
};
const heads: Record<HeadSpec["kind"], true> = { gaussian: true, prototype: true, ridge: true };
const viewKinds: Record<ViewKind, true> = { dihedral: true, crop: true, color: true, cutout: true };

export function invalid(expected: string, got: string, todo: string): ProtolineError {
  return new ProtolineError("INVALID_ARGUMENT", { expected, got, todo });
}

/** Unknown values in an error: short, on one line. */
export function show(value: unknown): string {
  return typeof value === "string"
    ? quote(value)
    : quote(JSON.stringify(value) ?? String(value)).slice(1, -1);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A whole number from 1 on. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}

export function isSha256(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

/**
 * Checks the shape of a decision, for it may come from a file or a request; one that an older Protoline wrote is taken in
 * today's form.
 */
export function checkDecision(given: unknown): DecisionSpec {
  const decision = currentDecision(given);
  const part = (name: string): Record<string, unknown> => {
    const value = isRecord(decision) ? decision[name] : undefined;
    if (!isRecord(value)) throw wrongDecision(name, "an object", value);
    return value;
  };
  const oneOf = (table: Record<string, true>, value: unknown, where: string): void => {
    if (typeof value !== "string" || !Object.hasOwn(table, value))
      throw wrongDecision(where, `one of ${Object.keys(table).join(", ")}`, value);
  };
  const number = (value: unknown, where: string, expected: string, test: (x: number) => boolean): void => {
    if (typeof value !== "number" || !Number.isFinite(value) || !test(value))
      throw wrongDecision(where, expected, value);
  };

  const views = part("views");
  for (const side of ["support", "query"]) {
    const kinds = views[side];
    if (!Array.isArray(kinds)) throw wrongDecision(`views.${side}`, "a list", kinds);
    for (const kind of kinds) oneOf(viewKinds, kind, `views.${side}`);
  }
  const { power, normalize, center } = part("transform");
  if (power !== null) number(power, "transform.power", "null or a number above 0", (x) => x > 0);
  if (typeof normalize !== "boolean") throw wrongDecision("transform.normalize", "true or false", normalize);
  oneOf(centers, center, "transform.center");
  const head = part("head");
  oneOf(heads, head.kind, "head.kind");
  if (head.kind === "prototype") oneOf(metrics, head.metric, "head.metric");
  if (head.kind === "ridge") number(head.lambda, "head.lambda", "a number above 0", (x) => x > 0);
  const { falseRejectRate, learned } = part("openSet");
  checkLearned(learned);
  number(falseRejectRate, "openSet.falseRejectRate", "a share between 0 and 1", (x) => x > 0 && x < 1);
  number(part("ambiguity").margin, "ambiguity.margin", "a number from 0 to below 1", (x) => x >= 0 && x < 1);
  return JSON.parse(JSON.stringify(decision)) as DecisionSpec;
}

/** Limits that the line's frames moved. */
function checkLearned(learned: unknown): void {
  if (learned === undefined) return;
  const right =
    Array.isArray(learned) &&
    learned.every(
      (one) =>
        isRecord(one) &&
        typeof one.label === "string" &&
        isCount(one.pictures) &&
        isCount(one.frames) &&
        typeof one.shift === "number" &&
        one.shift <= 0 &&
        Number.isFinite(one.shift),
    );
  if (!right)
    throw wrongDecision(
      "openSet.learned",
      "a list of label, pictures, frames and a shift of at most 0",
      learned,
    );
}

function wrongDecision(where: string, expected: string, value: unknown): ProtolineError {
  return invalid(`${expected} as the decision's ${where}`, show(value), "Correct the decision.");
}

export function checkRefresh(refresh: unknown): RefreshPolicy {
  if (isRecord(refresh)) {
    const { kind, samples } = refresh;
    if (kind === "immediate" || kind === "manual") return { kind };
    if (kind === "after" && isCount(samples)) return { kind, samples };
  }
  throw invalid(
    "a refresh policy: immediate, manual, or after a whole number of samples",
    show(refresh),
    "Choose one of the three.",
  );
}

export function checkModel(model: { model: string; modelHash: string; dim: number }): void {
  if (typeof model.model !== "string" || typeof model.modelHash !== "string" || model.modelHash === "")
    throw invalid("the model's name and hash", show([model.model, model.modelHash]), "Name the encoder.");
  if (!isCount(model.dim) || model.dim > 1_000_000)
    throw invalid(
      "the number of an embedding's values, 1 or more",
      show(model.dim),
      "Give the encoder's embeddingDim.",
    );
}

/** Throws DIMENSION_MISMATCH, NOT_FINITE, INVALID_ARGUMENT. `what` names the picture for the reader. */
export function checkEmbeddings(views: readonly Float32Array[], dim: number, what: string): void {
  if (!Array.isArray(views) || views.length === 0)
    throw invalid(`at least one embedding of ${what}`, "none", "Embed the picture before it is stored.");
  for (const view of views) {
    if (!(view instanceof Float32Array) || view.length !== dim)
      throw new ProtolineError("DIMENSION_MISMATCH", {
        expected: `embeddings of ${dim} values, as the gallery has them, for ${what}`,
        got: view instanceof Float32Array ? `${view.length}` : typeof view,
        todo: "Embed with the gallery's own model.",
      });
    // A plain loop: a gallery that is embedded again has millions of numbers.
    let at = 0;
    while (at < view.length && Number.isFinite(view[at]!)) at++;
    if (at < view.length)
      throw new ProtolineError("NOT_FINITE", {
        expected: `finite numbers in the embedding of ${what}`,
        got: `${view[at]} at position ${at}`,
        todo: "Check the model and its preprocessing; the sample was not stored.",
      });
  }
}

/** The sample as it is kept: label in its checked form, origin printable. */
export function checkSample(sample: NewSample, index: number, dim: number): NewSample {
  const what = `sample ${index} (${quote(String(sample.origin))})`;
  const label = checkLabel(sample.label);
  checkEmbeddings(sample.embeddings, dim, what);
  if (!isSha256(sample.contentHash))
    throw invalid(
      `64 lower-case hex digits as the content hash of ${what}`,
      show(sample.contentHash),
      "Give the SHA-256 of the encoded picture.",
    );
  if (!Number.isSafeInteger(sample.time) || sample.time < 0)
    throw invalid(
      `milliseconds since 1970 as the time of ${what}`,
      show(sample.time),
      "Give a whole number.",
    );
  return { ...sample, label, origin: tidy(sample.origin), image: checkImage(sample.image, what) };
}

function checkImage(image: KeptImage | null, what: string): KeptImage | null {
  if (image === null) return null;
  if (!(image.bytes instanceof Uint8Array) || image.bytes.length === 0)
    throw invalid(
      `the bytes of the picture of ${what}`,
      "none",
      "Give the bytes, or null to keep no picture.",
    );
  if (typeof image.type !== "string" || !/^image\/[a-z0-9.+-]{1,60}$/.test(image.type))
    throw invalid(
      `a type such as image/jpeg for ${what}`,
      show(image.type),
      "Give the picture's media type.",
    );
  return { bytes: image.bytes, type: image.type, whole: Boolean(image.whole) };
}

export function checkApiKey(key: ApiKeyRecord): ApiKeyRecord {
  const { id, name, hash, scopes, created } = key;
  if (typeof id !== "string" || !/^[A-Za-z0-9_-]{1,64}$/.test(id))
    throw invalid(
      "a key id of 1 to 64 letters, digits, underscores or hyphens",
      show(id),
      "Choose another id.",
    );
  if (!isSha256(hash))
    throw invalid("the SHA-256 of the key", typeof hash, "Keep the hash, never the key itself.");
  const wrong = scopes.find((scope) => !apiScopes.includes(scope));
  if (wrong !== undefined || scopes.length === 0)
    throw invalid(`scopes out of ${apiScopes.join(", ")}`, show(scopes), "Give the key at least one scope.");
  if (!Number.isSafeInteger(created) || created < 0)
    throw invalid("milliseconds since 1970", show(created), "Give the time of creation.");
  return {
    id,
    name: tidy(name, 200),
    hash,
    scopes: apiScopes.filter((scope) => scopes.includes(scope)),
    created,
  };
}
