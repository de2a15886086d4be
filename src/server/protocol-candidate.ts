import Type, { type Static } from "typebox";
import { GalleryParams } from "./protocol.ts";
import { CountedRate } from "./protocol-limits.ts";

/** Requests and replies on candidates, as JSON schemas and as types. Times are milliseconds since 1970. */

const count = Type.Integer({ minimum: 0 });
const share = Type.Number({ minimum: 0, maximum: 1 });
const kind = Type.Enum(["known", "ambiguous", "unknown"]);
const orNull = <T extends Type.TSchema>(type: T) => Type.Union([type, Type.Null()]);

export const CandidateBody = Type.Object(
  {
    model: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: "One of the models of this server. Default: the gallery's own.",
      }),
    ),
    tune: Type.Optional(
      Type.Boolean({
        description: "Choose transform and head anew on the gallery's pictures. Default true.",
      }),
    ),
    falseRejectRate: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        exclusiveMaximum: 1,
        description: "Share of frames of known classes that may be called unknown: sets the limits.",
      }),
    ),
    margin: Type.Optional(
      Type.Number({
        minimum: 0,
        exclusiveMaximum: 1,
        description: "Ambiguous when first and second are nearer than this; 0 for never.",
      }),
    ),
    encoder: Type.Optional(
      Type.Object(
        {
          steps: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 10_000, description: "Episodes of training. Default 60." }),
          ),
          seed: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 2 ** 31 - 1,
              description: "Equal seeds, equal training. Default 1.",
            }),
          ),
        },
        {
          additionalProperties: false,
          description:
            "Train the gallery's own encoder further on its kept pictures, in a process of low priority. Not together with model.",
        },
      ),
    ),
  },
  { additionalProperties: false },
);
export const CandidateFrameParams = Type.Object({
  ...GalleryParams.properties,
  id: Type.String({ minLength: 1 }),
});

const rates = Type.Object({
  right: CountedRate,
  falseReject: CountedRate,
  falseAccept: Type.Object(CountedRate.properties, {
    description: "Of pictures of classes that the gallery does not have.",
  }),
});
const compared = Type.Object({
  pictures: count,
  current: rates,
  candidate: rates,
  change: Type.Object({
    lost: Type.Integer({
      minimum: 0,
      description: "Pictures that the gallery has right and the candidate has not.",
    }),
    gained: count,
    pValue: Type.Number({ description: "Of as clear a difference by chance (McNemar, exact)." }),
  }),
});
const answer = Type.Object({
  kind,
  nearest: Type.String({ description: "The class that it comes nearest to." }),
  confidence: share,
  distance: Type.Number(),
});

export const CandidateReply = Type.Object({
  id: Type.String(),
  who: Type.String(),
  since: Type.Integer(),
  model: Type.String(),
  phase: Type.Enum([
    "opening",
    "training",
    "embedding",
    "tuning",
    "evaluating",
    "shadow",
    "promoting",
    "failed",
  ]),
  progress: orNull(
    Type.Object(
      { done: count, of: count },
      { description: "Steps of training, or pictures that are embedded, as the phase says." },
    ),
  ),
  loss: orNull(Type.Number({ description: "Of the training, the mean of its last steps." })),
  learned: orNull(
    Type.Object(
      { steps: count, seed: Type.Integer(), pictures: count, keptBack: count },
      {
        description:
          "What the encoder was trained on: pictures of the gallery, and those that were kept back to compare by.",
      },
    ),
  ),
  error: orNull(
    Type.Object({
      code: Type.String(),
      message: Type.String(),
      expected: Type.String(),
      got: Type.String(),
      todo: Type.String(),
    }),
  ),
  revision: orNull(Type.Integer({ description: "That it was made from; null until it is ready." })),
  decision: orNull(Type.Unsafe<object>({ type: "object", description: "As the gallery would have it." })),
  summary: orNull(Type.String({ description: "What was chosen on the gallery's pictures, and why." })),
  comparison: orNull(
    Type.Object({
      heldOut: orNull(compared),
      leftOut: orNull(
        Type.Object(compared.properties, {
          description:
            "The gallery's own pictures, each left out in turn, but those that an encoder was trained on; null where these are all.",
        }),
      ),
    }),
  ),
  worse: orNull(
    Type.Boolean({
      description:
        "Whether held-out pictures (left out where there are none) are answered worse, beyond chance; null without any.",
    }),
  ),
  shadow: orNull(
    Type.Object(
      {
        frames: count,
        same: count,
        different: count,
        skipped: Type.Integer({
          minimum: 0,
          description: "Not asked: the candidate takes its share of time alone.",
        }),
        failed: count,
        changes: Type.ReadonlyObject(Type.Array(Type.Object({ from: kind, to: kind, frames: count }))),
        differences: Type.Array(
          Type.Object({
            id: Type.String(),
            time: Type.Integer(),
            revision: count,
            current: answer,
            candidate: answer,
          }),
          { description: "The newest frames that the two answer otherwise." },
        ),
      },
      { description: "Live frames that both answered, the candidate after the answer was sent." },
    ),
  ),
});
export type CandidateReply = Static<typeof CandidateReply>;
