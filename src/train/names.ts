import { ProtolineError, quote } from "../core/index.ts";
import type { HeadSpec, Metric, TransformSpec } from "../fewshot/index.ts";

/** Short names for transforms and heads, for a command line and for tables. */

export const transformNames: readonly string[] = [
  "none",
  "l2",
  "power",
  "center",
  "power+center",
  "power:EXPONENT",
  "center:base|gallery|running",
];

export const headNames: readonly string[] = [
  "prototype",
  "prototype:cosine",
  "prototype:euclidean",
  "prototype:squaredEuclidean",
  "prototype:mahalanobis",
  "ridge",
  "ridge:LAMBDA",
  "ridge:LAMBDA:DIM",
];

const metrics: readonly Metric[] = ["cosine", "euclidean", "squaredEuclidean", "mahalanobis"];
const centers = ["base", "gallery", "running"] as const;

const unknownTransform = (text: string): ProtolineError =>
  new ProtolineError("INVALID_ARGUMENT", {
    expected: "a transform",
    got: quote(text),
    todo: `Use one of ${transformNames.join(", ")}; parts are joined by "+".`,
  });

const unknownHead = (text: string): ProtolineError =>
  new ProtolineError("INVALID_ARGUMENT", {
    expected: "a head",
    got: quote(text),
    todo: `Use one of ${headNames.join(", ")}.`,
  });

/** A plain decimal number above 0, or `null`. */
function positive(text: string | undefined): number | null {
  if (text === undefined || !/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return null;
  const value = Number(text);
  return Number.isFinite(value) && value > 0 ? value : null;
}

/**
 * `none` leaves the embedding as it is. `l2` scales it to length 1; `power` (or `power:0.3`; exponent ½ by default,
 * above 0 and at most 1) and `center` (by the gallery's mean, or `center:base`, `center:running`) do so too, before
 * and after. Parts are joined by `+`: `power+center`.
 * Throws INVALID_ARGUMENT.
 */
export function parseTransform(text: string): TransformSpec {
  if (text === "none") return { power: null, normalize: false, center: "none" };
  let power: number | null = null;
  let center: TransformSpec["center"] = "none";
  const seen = new Set<string>();
  for (const part of text.split("+")) {
    const [name = "", argument, ...rest] = part.split(":");
    if (rest.length > 0 || seen.has(name)) throw unknownTransform(text);
    seen.add(name);
    if (name === "l2" && argument === undefined) continue;
    if (name === "power") {
      power = argument === undefined ? 0.5 : positive(argument);
      if (power === null || power > 1) throw unknownTransform(text);
    } else if (name === "center") {
      const found = argument === undefined ? "gallery" : centers.find((kind) => kind === argument);
      if (!found) throw unknownTransform(text);
      center = found;
    } else throw unknownTransform(text);
  }
  return { power, normalize: true, center };
}

/**
 * `prototype` (cosine) or `prototype:METRIC`; `ridge` (λ = 1), `ridge:LAMBDA`, or `ridge:LAMBDA:DIM` with DIM random
 * features of seed 1. Throws INVALID_ARGUMENT.
 */
export function parseHead(text: string): HeadSpec {
  const [name, first, second, ...rest] = text.split(":");
  if (rest.length > 0) throw unknownHead(text);
  if (name === "prototype" && second === undefined) {
    const metric = first === undefined ? "cosine" : metrics.find((known) => known === first);
    if (metric) return { kind: "prototype", metric };
  }
  if (name === "ridge") {
    const lambda = first === undefined ? 1 : positive(first);
    const dim = second === undefined ? null : positive(second);
    if (lambda !== null && (second === undefined || (dim !== null && Number.isInteger(dim))))
      return { kind: "ridge", lambda, projection: dim === null ? null : { dim, seed: 1 } };
  }
  throw unknownHead(text);
}

/** The name that {@link parseTransform} reads back; power or centre without normalisation say `raw`, which it does not. */
export function formatTransform({ power, normalize, center }: TransformSpec): string {
  const parts: string[] = [];
  if (power !== null) parts.push(power === 0.5 ? "power" : `power:${power}`);
  if (center !== "none") parts.push(center === "gallery" ? "center" : `center:${center}`);
  if (parts.length === 0) return normalize ? "l2" : "none";
  return normalize ? parts.join("+") : `raw ${parts.join("+")}`;
}

/** The name that {@link parseHead} reads back. */
export function formatHead(head: HeadSpec): string {
  if (head.kind === "prototype") return head.metric === "cosine" ? "prototype" : `prototype:${head.metric}`;
  return head.projection ? `ridge:${head.lambda}:${head.projection.dim}` : `ridge:${head.lambda}`;
}
