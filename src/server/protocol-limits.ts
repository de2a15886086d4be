import Type from "typebox";

/** Where classes end, and what is to be expected of known parts and of parts never shown; as JSON schemas and as types. */

const count = Type.Integer({ minimum: 0 });
const share = Type.Number({ minimum: 0, maximum: 1 });
const orNull = <T extends Type.TSchema>(type: T) => Type.Union([type, Type.Null()]);
const pair = (description: string) => Type.ReadonlyObject(Type.Tuple([share, share]), { description });

/** So many of so many. */
export const CountedRate = Type.Object({
  hits: count,
  of: count,
  interval: pair("Holds the true rate in about 95 of 100 cases (Wilson)."),
});

const threshold = orNull(
  Type.Number({
    description: "A distance; null where nothing is known of the limit yet: then no frame is called unknown.",
  }),
);
const source = Type.Enum(["conformal", "own", "shared", "prior", "none"], {
  description:
    "What it rests on: enough pictures of its own for a conformal quantile, fewer, those of the other classes, the encoder's prior, or nothing.",
});

/** Of an answer. */
export const AppliedLimit = Type.Object(
  {
    label: Type.String({
      description: "The nearest class: its limit alone made the image known or unknown.",
    }),
    distance: Type.Number({ description: "To that class." }),
    threshold,
    source,
  },
  { description: "The image is unknown where the distance is above the threshold." },
);

const certainty = {
  source,
  pictures: Type.Integer({
    minimum: 0,
    description: "Left-out pictures of its own that it rests on; near-duplicates count once.",
  }),
  rates: orNull(
    pair(
      "Between these the class's true false-reject rate lies, in 90 of 100 galleries; null without pictures of its own.",
    ),
  ),
  missing: Type.Integer({
    minimum: 0,
    description: "Further pictures with which the upper of these rates is at most twice the stated one.",
  }),
};
/** Of a class: where it ends, and how sure that is. */
export const ClassLimit = Type.Object({
  threshold,
  ...certainty,
  frames: Type.Integer({ minimum: 0, description: "Frames of the line that moved the threshold inward." }),
});
/** Of a class before its pictures are enrolled. */
export const CheckedLimit = Type.Object(certainty);

/** What is to be expected of new frames, from the gallery's own pictures. */
export const ExpectedReply = Type.Object({
  pictures: Type.Integer({
    minimum: 0,
    description: "That were looked at: a random part of a large gallery.",
  }),
  classes: Type.Integer({
    minimum: 0,
    description: "With two pictures or more, of those that were looked at.",
  }),
  rates: Type.ReadonlyObject(
    Type.Array(
      Type.Object({
        stated: share,
        falseReject: Type.Object(CountedRate.properties, {
          description: "Known pictures called unknown, each left out.",
        }),
        caught: orNull(
          Type.Object(CountedRate.properties, {
            description:
              "Pictures of parts never shown called unknown, each class in turn left out; null with one class.",
          }),
        ),
      }),
    ),
    { description: "At the usual stated rates and at that of the decision, from the lowest." },
  ),
  strangers: Type.ReadonlyObject(
    Type.Array(
      Type.Object({
        label: Type.String(),
        caught: CountedRate,
        takenBy: orNull(
          Type.Object(
            { label: Type.String(), pictures: count },
            { description: "The class that took most of its pictures that were not caught." },
          ),
        ),
      }),
    ),
    { description: "Classes as strangers to the others, at the decision's rate; the least caught first." },
  ),
});
