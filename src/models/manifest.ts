import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { ProtolineError, quote } from "../core/index.ts";
import { currentDecision, currentPriors, defaultDecision, defaultPriors } from "../fewshot/index.ts";
import { shownLength } from "./learned.ts";
import type { Manifest } from "./types.ts";

const strict = { additionalProperties: false } as const;
const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);
const positive = Type.Number({ exclusiveMinimum: 0 });
const side = Type.Integer({ minimum: 1, maximum: 4096 });
const rate = Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 });
const views = Type.Array(Type.Enum(["dihedral", "crop", "color", "cutout"]));

const preprocess = Type.Object(
  {
    size: Type.Tuple([side, side]),
    fit: Type.Enum(["stretch", "crop", "fit"]),
    interpolation: Type.Enum(["nearest", "bilinear", "bicubic", "lanczos3"]),
    padding: Type.Number({ minimum: 0, maximum: 255, default: 0 }),
    channels: Type.Enum(["rgb", "bgr", "gray"]),
    mean: Type.Array(Type.Number()),
    std: Type.Array(positive),
    standardize: Type.Enum(["none", "image"], { default: "none" }),
  },
  strict,
);

const decision = Type.Object(
  {
    views: Type.Object({ support: views, query: views }, strict),
    transform: Type.Object(
      {
        power: nullable(positive),
        normalize: Type.Boolean(),
        center: Type.Enum(["none", "base", "gallery"]),
      },
      strict,
    ),
    head: Type.Union([
      Type.Object({ kind: Type.Literal("gaussian") }, strict),
      Type.Object(
        {
          kind: Type.Literal("prototype"),
          metric: Type.Enum(["squaredEuclidean", "euclidean", "cosine"]),
        },
        strict,
      ),
      Type.Object({ kind: Type.Literal("ridge"), lambda: positive }, strict),
    ]),
    openSet: Type.Object({ falseRejectRate: rate }, strict),
    ambiguity: Type.Object({ margin: Type.Number({ minimum: 0, exclusiveMaximum: 1 }) }, strict),
  },
  { ...strict, default: defaultDecision },
);

const priors = Type.Object(
  {
    baseMean: nullable(Type.Array(Type.Number())),
    limits: Type.Object(
      {
        deviation: positive,
        oneShot: nullable(Type.Array(Type.Object({ rate, threshold: positive }, strict), { minItems: 1 })),
      },
      { ...strict, default: defaultPriors.limits },
    ),
  },
  { ...strict, default: defaultPriors },
);

const hash = Type.String({ pattern: "^[0-9a-f]{64}$" });
const learned = Type.Object(
  {
    from: Type.Object({ name: Type.String(), modelHash: hash }, strict),
    gallery: Type.String(),
    revision: Type.Integer({ minimum: 0 }),
    steps: Type.Integer({ minimum: 1 }),
    seed: Type.Integer(),
    shown: Type.Array(Type.String({ pattern: `^[0-9a-f]{${shownLength}}$` })),
  },
  strict,
);

const schema = Type.Object(
  {
    format: Type.Literal(1),
    name: Type.String({ pattern: "^[a-z0-9][a-z0-9-]{0,63}$" }),
    version: Type.String({ minLength: 1, maxLength: 64, default: "1" }),
    model: Type.Object({ sha256: hash, bytes: Type.Integer({ minimum: 1 }) }, strict),
    input: Type.String({ minLength: 1 }),
    output: Type.String({ minLength: 1 }),
    embeddingDim: Type.Integer({ minimum: 1, maximum: 65536 }),
    pooling: Type.Enum(["none", "mean", "meanStd"], { default: "none" }),
    preprocess,
    decision,
    priors,
    provenance: Type.Object(
      { origin: Type.String(), license: Type.String({ minLength: 1 }), trainedOn: Type.String() },
      strict,
    ),
    learned: Type.Optional(learned),
  },
  strict,
);

/**
 * Checks a manifest from outside and fills in what may be left out: `version`, `pooling`, `decision`, `priors`,
 * `preprocess.padding` and `preprocess.standardize`.
 * @param where file name for the message. Throws BUNDLE_INVALID that names the first wrong field.
 */
export function parseManifest(value: unknown, where = "the manifest"): Manifest {
  const filled: unknown = Value.Default(schema, inTodaysForm(structuredClone(value)));
  if (!Value.Check(schema, filled)) throw fieldError(filled, where);
  const manifest: Static<typeof schema> = filled;

  const { channels, mean, std } = manifest.preprocess;
  const count = channels === "gray" ? 1 : 3;
  for (const [field, list] of Object.entries({ mean, std }))
    if (list.length !== count)
      throw invalid(
        where,
        `preprocess.${field}`,
        `${count} number${count > 1 ? "s" : ""}, one a channel`,
        `${list.length}`,
      );
  const { baseMean } = manifest.priors;
  if (baseMean && baseMean.length !== manifest.embeddingDim)
    throw invalid(
      where,
      "priors.baseMean",
      `${manifest.embeddingDim} numbers, as embeddingDim says`,
      `${baseMean.length}`,
    );
  return manifest;
}

/** Decision and priors of a manifest that an older Protoline wrote. */
function inTodaysForm(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return {
    ...value,
    ...("decision" in value && { decision: currentDecision(value.decision) }),
    ...("priors" in value && { priors: currentPriors(value.priors) }),
  };
}

function invalid(where: string, field: string, expected: string, got: string): ProtolineError {
  return new ProtolineError("BUNDLE_INVALID", {
    expected: `${expected} in field ${quote(field || "(the whole)")} of ${where}`,
    got,
    todo: "Correct the field, or import the model again.",
  });
}

/** The first wrong field in words. In a choice of objects only the alternative that `kind` names counts. */
function fieldError(value: unknown, where: string): ProtolineError {
  const all = [...Value.Errors(schema, value)];
  const branch = (path: string): string => /^.*\/anyOf\/\d+/.exec(path)?.[0] ?? "";
  const wrongKind = new Set(
    all.filter(({ keyword }) => keyword === "const").map(({ schemaPath }) => branch(schemaPath)),
  );
  wrongKind.delete("");
  const told = all.filter(({ keyword }) => keyword !== "anyOf" && keyword !== "boolean");
  const relevant = told.filter(({ schemaPath }) => !wrongKind.has(branch(schemaPath)));
  const first = relevant[0] ?? told.find(({ keyword }) => keyword === "const") ?? told[0];
  if (!first) return invalid(where, "", "a manifest", describe(value));

  const same = told.filter(
    ({ instancePath, keyword }) => instancePath === first.instancePath && keyword === first.keyword,
  );
  const field = first.instancePath.slice(1).replaceAll("/", ".");
  if (first.keyword === "required" || first.keyword === "additionalProperties") {
    const params = first.params as { requiredProperties?: string[]; additionalProperties?: string[] };
    const name = [...(params.requiredProperties ?? []), ...(params.additionalProperties ?? [])][0] ?? "";
    const path = field ? `${field}.${name}` : name;
    return first.keyword === "required"
      ? invalid(where, path, "a value", "none")
      : invalid(where, path, "no such field", "one");
  }
  return invalid(where, field, same.map(expectation).join(" or "), describe(at(value, first.instancePath)));
}

function expectation({
  keyword,
  params,
  message,
}: {
  readonly keyword: string;
  readonly params: object;
  readonly message: string;
}): string {
  if (keyword === "const" && "allowedValue" in params) return JSON.stringify(params.allowedValue);
  if (keyword === "enum" && "allowedValues" in params)
    return `one of ${(params.allowedValues as string[]).join(", ")}`;
  return message.replace(/^must be /, "").replace(/^must /, "a value that must ");
}

function at(value: unknown, pointer: string): unknown {
  return pointer
    .split("/")
    .slice(1)
    .reduce<unknown>((part, key) => (part as Record<string, unknown> | undefined)?.[key], value);
}

function describe(value: unknown): string {
  return value === undefined ? "nothing" : quote(JSON.stringify(value));
}
