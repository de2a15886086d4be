import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { ProtolineError, quote } from "../core/index.ts";

const strict = { additionalProperties: false } as const;
const count = Type.Integer({ minimum: 1 });
const positive = Type.Number({ exclusiveMinimum: 0 });
const share = Type.Number({ minimum: 0, exclusiveMaximum: 1 });
const notNegative = Type.Number({ minimum: 0 });
const optional = Type.Optional;
const splits = ["train", "val", "trainval", "test", "all"] as const;

/** `kind` and the options that go with it. */
const kind = <const K extends string, P extends Record<string, ReturnType<typeof Type.Optional>>>(
  name: K,
  options: P,
) => Type.Object({ kind: Type.Literal(name), ...options }, strict);

const adamOptions = {
  beta1: optional(share),
  beta2: optional(share),
  epsilon: optional(positive),
  weightDecay: optional(notNegative),
};
const widths = optional(Type.Tuple([count, count, count, count]));
const warmUp = optional(Type.Integer({ minimum: 0 }));

const range = Type.Tuple([positive, positive]);
const fill = optional(Type.Number({ minimum: 0, maximum: 255 }));
const probability = optional(Type.Number({ minimum: 0, maximum: 1 }));
const augmentation = Type.Object(
  {
    resizedCrop: optional(
      Type.Object(
        {
          area: optional(range),
          aspect: optional(range),
          degrees: optional(Type.Number({ minimum: 0, maximum: 180 })),
        },
        strict,
      ),
    ),
    crop: optional(Type.Object({ padding: Type.Integer({ minimum: 0 }), fill }, strict)),
    flip: optional(Type.Object({ axis: Type.Enum(["horizontal", "vertical"]), probability }, strict)),
    quarterTurns: optional(Type.Boolean()),
    rotate: optional(Type.Object({ degrees: Type.Number({ minimum: 0, maximum: 180 }), fill }, strict)),
    color: optional(
      Type.Object(
        { brightness: optional(share), contrast: optional(share), saturation: optional(share) },
        strict,
      ),
    ),
    gray: optional(Type.Object({ probability }, strict)),
    blur: optional(Type.Object({ probability, sigma: optional(range) }, strict)),
    noise: optional(Type.Object({ probability, deviation: optional(range) }, strict)),
    cutout: optional(Type.Object({ size: count, fill }, strict)),
    erase: optional(
      Type.Object({ probability, area: optional(range), aspect: optional(range), fill }, strict),
    ),
    mixup: optional(Type.Object({ alpha: positive }, strict)),
  },
  strict,
);

const schema = Type.Object(
  {
    name: Type.String({ pattern: "^[a-z0-9][a-z0-9-]{0,63}$" }),
    data: Type.Object(
      {
        dataset: Type.String({ minLength: 1 }),
        train: Type.Enum([...splits], { default: "train" }),
        validation: Type.Union([Type.Enum([...splits]), Type.Null()], { default: "val" }),
        size: Type.Integer({ minimum: 8, maximum: 1024 }),
        channels: Type.Enum(["gray", "rgb"]),
        mean: Type.Array(Type.Number()),
        std: Type.Array(positive),
        standardize: Type.Enum(["none", "image"], { default: "none" }),
      },
      strict,
    ),
    backbone: Type.Union([
      kind("conv4", { width: optional(count) }),
      kind("conv-encoder", { width: optional(count), embeddingDim: optional(count) }),
      kind("compact", { widths, head: optional(count) }),
      kind("resnet12", {
        widths,
        keep: optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
        keepAfter: optional(count),
      }),
      kind("resnet18", { widths }),
      kind("mobile", { width: optional(positive), embeddingDim: optional(count) }),
      kind("vit", {
        patch: optional(count),
        dim: optional(count),
        depth: optional(count),
        heads: optional(count),
      }),
      Type.Object(
        {
          kind: Type.Literal("imported"),
          model: Type.String({ minLength: 1 }),
          freeze: probability,
          decay: optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
        },
        strict,
      ),
    ]),
    method: Type.Union([
      kind("protonet", {
        metric: optional(Type.Enum(["squaredEuclidean", "cosine", "mahalanobis"])),
        scale: optional(positive),
        beta: optional(positive),
      }),
      kind("matching", { scale: optional(positive) }),
      kind("ridge", { lambda: optional(positive) }),
      kind("maml", {
        steps: optional(count),
        rate: optional(positive),
        firstOrder: optional(Type.Boolean()),
      }),
      kind("classifier", {
        head: optional(Type.Enum(["linear", "cosine"])),
        scale: optional(positive),
        answer: optional(Type.Enum(["nearestMean", "fineTune"])),
      }),
      Type.Object(
        {
          kind: Type.Literal("distill"),
          teachers: Type.Array(Type.String({ minLength: 1 }), { minItems: 1 }),
          views: count,
          relation: optional(notNegative),
        },
        strict,
      ),
    ]),
    episode: Type.Union(
      [Type.Object({ way: Type.Integer({ minimum: 2 }), shot: count, query: count }, strict), Type.Null()],
      { default: null },
    ),
    episodesPerStep: Type.Integer({ minimum: 1, default: 1 }),
    batch: Type.Union([count, Type.Null()], { default: null }),
    initial: Type.Union([Type.String({ minLength: 1 }), Type.Null()], { default: null }),
    augment: Type.Union([augmentation, Type.Null()], { default: null }),
    episodes: count,
    optimizer: Type.Union([
      kind("sgd", {
        momentum: optional(share),
        nesterov: optional(Type.Boolean()),
        weightDecay: optional(notNegative),
      }),
      kind("adam", adamOptions),
      kind("adamw", adamOptions),
    ]),
    rate: positive,
    schedule: Type.Union(
      [
        Type.Object({ kind: Type.Literal("constant"), warmUp }, strict),
        Type.Object({ kind: Type.Literal("step"), every: count, factor: positive, warmUp }, strict),
        Type.Object(
          {
            kind: Type.Literal("multi-step"),
            at: Type.Array(count),
            factors: Type.Array(positive),
            warmUp,
          },
          strict,
        ),
        Type.Object({ kind: Type.Literal("cosine"), least: optional(share), warmUp }, strict),
      ],
      { default: { kind: "constant" } },
    ),
    clip: Type.Union([positive, Type.Null()], { default: null }),
    labelSmoothing: Type.Number({ minimum: 0, exclusiveMaximum: 1, default: 0 }),
    average: Type.Union([Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }), Type.Null()], {
      default: null,
    }),
    validation: Type.Object(
      {
        every: Type.Integer({ minimum: 1, default: 500 }),
        episodes: Type.Integer({ minimum: 1, default: 200 }),
        way: Type.Integer({ minimum: 2, default: 5 }),
        shot: Type.Integer({ minimum: 1, default: 1 }),
        query: Type.Integer({ minimum: 1, default: 15 }),
        patience: Type.Union([count, Type.Null()], { default: null }),
      },
      { ...strict, default: {} },
    ),
    checkpointEvery: Type.Integer({ minimum: 1, default: 100 }),
    seed: Type.Integer({ default: 1 }),
    threads: Type.Union([count, Type.Null()], { default: null }),
  },
  strict,
);

/**
 * Everything that decides a training run, as its JSON file says it.
 *
 * - `name`: of the bundle that comes out.
 * - `data`: the set, the split to train on and the one to validate on (`null`: none), the side of the square images in
 *   pixels, and what is subtracted from a 0 … 255 pixel and divides after that, one a channel. `standardize: "image"`
 *   then brings each picture to mean 0 and deviation 1 over all its channels. Default `none`.
 * - `backbone` `imported`: a model by name or path, whose embedding is trained further; `freeze` and `decay` say how much of
 *   it; see `ImportedOptions`. Its pictures are those that its manifest asks for.
 * - `episode`: classes, support and query images a class. For the methods `classifier` and `distill` instead `batch`:
 *   images of all classes a step.
 * - `method` `distill`: `teachers` are models by name or path, whose embeddings the student learns side by side; `views`
 *   is how many pictures, each changed by `augment` in its own way, are shown before the same ones come again, a multiple
 *   of `batch`: the teachers see each once.
 * - `episodes`: how many steps, each of one batch or of `episodesPerStep` episodes (default 1), whose mean loss is what a
 *   step lowers.
 * - `initial`: folder of an earlier run, or bundle, whose weights it starts from, where names and shapes agree. Default
 *   `null`.
 * - `augment`: how training pictures are changed, by seed; see `BatchAugmentation`. Beside those `mixup`, which mixes
 *   pictures and targets of a `batch`, for the method `classifier` alone. Default `null`.
 * - `rate`, `schedule`: the learning rate at first, and the factor on it; see {@link Schedule}.
 * - `clip`: limit of the norm of all gradients. Default `null`: none.
 * - `labelSmoothing`: share of each target that is spread over all classes. Default 0.
 * - `average`: what a moving average of the weights keeps in a step; validated and shipped instead of them. Default `null`.
 * - `validation`: every so many steps, on the same episodes each time, with running statistics. It stops after `patience`
 *   validations without a better accuracy (`null`: never), and the best weights are shipped.
 * - `checkpointEvery`: steps. Default 100. `seed`: default 1. `threads`: default all cores; 1 repeats to the last bit.
 */
export type TrainConfig = Static<typeof schema>;

/**
 * Checks a config from outside and fills in the defaults.
 *
 * @param where file name for the message.
 * @throws CONFIG_INVALID that names the first wrong field.
 */
export function parseTrainConfig(value: unknown, where = "the config"): TrainConfig {
  const filled: unknown = Value.Default(schema, structuredClone(value));
  if (!Value.Check(schema, filled)) {
    const errors = [...Value.Errors(schema, filled)];
    // In a choice of objects only the alternative that `kind` names counts.
    const branch = (path: string): string => /^.*\/anyOf\/\d+/.exec(path)?.[0] ?? "";
    const wrongKind = new Set(
      errors.filter(({ keyword }) => keyword === "const").map(({ schemaPath }) => branch(schemaPath)),
    );
    const first =
      errors.find(({ keyword, schemaPath }) => keyword !== "anyOf" && !wrongKind.has(branch(schemaPath))) ??
      errors[0]!;
    const field = first.instancePath.slice(1).replaceAll("/", ".");
    throw invalid(where, field, `something that ${first.message}`, JSON.stringify(valueAt(filled, field)));
  }
  const config: TrainConfig = filled;
  const { channels, mean, std } = config.data;
  const planes = channels === "gray" ? 1 : 3;
  for (const [field, list] of Object.entries({ mean, std }))
    if (list.length !== planes)
      throw invalid(where, `data.${field}`, `${planes} number(s)`, `${list.length}`);
  const { schedule, method, backbone } = config;
  const batched = method.kind === "classifier" || method.kind === "distill";
  const [needed, other] = batched ? (["batch", "episode"] as const) : (["episode", "batch"] as const);
  if (config[needed] === null) throw invalid(where, needed, `a value, which ${method.kind} needs`, "null");
  if (config[other] !== null)
    throw invalid(where, other, `null, as ${method.kind} takes ${needed}`, JSON.stringify(config[other]));
  if (batched && config.episodesPerStep !== 1)
    throw invalid(where, "episodesPerStep", `1, as ${method.kind} takes batch`, `${config.episodesPerStep}`);
  if (method.kind === "distill" && method.views % config.batch! !== 0)
    throw invalid(where, "method.views", `a multiple of batch, ${config.batch}`, `${method.views}`);
  if (method.kind === "protonet" && method.metric === "mahalanobis" && method.scale !== undefined)
    throw invalid(where, "method.scale", "nothing, as mahalanobis has its own scale", `${method.scale}`);
  if (method.kind !== "classifier" && config.augment?.mixup)
    throw invalid(where, "augment.mixup", `nothing, as ${method.kind} has no targets to mix`, "options");
  if (method.kind === "maml" && backbone.kind === "resnet12" && (backbone.keep ?? 1) < 1)
    throw invalid(where, "backbone.keep", "1, as maml works without DropBlock", `${backbone.keep}`);
  if (schedule.kind === "multi-step" && schedule.at.length !== schedule.factors.length)
    throw invalid(
      where,
      "schedule.factors",
      `${schedule.at.length} numbers, as in at`,
      `${schedule.factors.length}`,
    );
  return config;
}

function valueAt(value: unknown, path: string): unknown {
  return path
    .split(".")
    .filter((key) => key !== "")
    .reduce<unknown>(
      (inside, key) =>
        typeof inside === "object" && inside !== null ? (inside as Record<string, unknown>)[key] : undefined,
      value,
    );
}

function invalid(where: string, field: string, expected: string, got: string | undefined): ProtolineError {
  return new ProtolineError("CONFIG_INVALID", {
    expected: `${expected} in field ${quote(field || "(the whole)")} of ${where}`,
    got: got === undefined ? "nothing" : quote(got),
    todo: "Correct the field in the config file.",
  });
}
