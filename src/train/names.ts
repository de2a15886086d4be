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
  "center:base|gallery",
];

const metrics: readonly Metric[] = ["cosine", "euclidean", "squaredEuclidean"];
const centers = ["base", "gallery"] as const;

export const headNames: readonly string[] = [
  "gaussian",
  "prototype",
  ...metrics.map((metric) => `prototype:${metric}`),
  "ridge",
  "ridge:LAMBDA",
];

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
 * above 0 and at most 1) and `center` (by the gallery's mean, or `center:base`, that of the encoder) do so too,
 * before and after. Parts are joined by `+`: `power+center`.
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
 * `gaussian`; `prototype` (cosine) or `prototype:METRIC`; `ridge` (λ = 1) or `ridge:LAMBDA`. Throws INVALID_ARGUMENT.
 */
export function parseHead(text: string): HeadSpec {
  const [name, argument, ...rest] = text.split(":");
  if (rest.length > 0) throw unknownHead(text);
  if (name === "gaussian" && argument === undefined) return { kind: "gaussian" };
  if (name === "prototype") {
    const metric = argument === undefined ? "cosine" : metrics.find((known) => known === argument);
    if (metric) return { kind: "prototype", metric };
  }
  if (name === "ridge") {
    const lambda = argument === undefined ? 1 : positive(argument);
    if (lambda !== null) return { kind: "ridge", lambda };
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
  if (head.kind === "gaussian") return "gaussian";
  if (head.kind === "ridge") return `ridge:${head.lambda}`;
  return head.metric === "cosine" ? "prototype" : `prototype:${head.metric}`;
}
