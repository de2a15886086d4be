import Type, { type Static } from "typebox";
import { GalleryParams } from "./protocol.ts";

/** Replies on drift, as JSON schemas and as types. Times are milliseconds since 1970. */

const count = Type.Integer({ minimum: 0 });
const share = Type.Number({ minimum: 0, maximum: 1 });
const known = <T extends ReturnType<typeof Type.Integer> | ReturnType<typeof Type.Number>>(type: T) =>
  Type.Union([type, Type.Null()]);

const Finding = Type.Object({
  test: Type.Enum(["embeddings", "distance", "unknownRate", "classMean"]),
  label: Type.Optional(Type.String({ description: "Class of a classMean." })),
  statistic: Type.Number({
    description:
      "embeddings: MMD²; distance: largest difference of the distribution functions; unknownRate: difference of the rates; classMean: shift of the mean, in spreads of the class.",
  }),
  pValue: share,
  adjusted: Type.Number({ description: "p-value held against the others of the window (Holm)." }),
  alarm: Type.Boolean(),
  frames: Type.ReadonlyObject(Type.Tuple([count, count]), {
    description: "Frames of reference and window that the test saw.",
  }),
});
const summary = {
  unknownRate: share,
  medianDistance: Type.Number({ description: "To the nearest class." }),
  meanConfidence: known(share),
  answers: Type.ReadonlyObject(
    Type.Array(Type.Object({ label: Type.Union([Type.String(), Type.Null()]), frames: count })),
    { description: "Frames by their answer, the most frequent first; null is unknown." },
  ),
};
const Window = Type.Object({
  frame: Type.Integer({ description: "Number of its last frame, from the first of the reference." }),
  time: Type.Integer(),
  ...summary,
  level: Type.Number({ description: "Of this window: that of the period over its windows." }),
  alarm: Type.Boolean(),
  findings: Type.ReadonlyObject(Type.Array(Finding), { description: "Alarms first, then by p-value." }),
});

const pictures = Type.Array(
  Type.Object({
    id: Type.String(),
    label: Type.Union([Type.String(), Type.Null()]),
    distance: Type.Number({ description: "To its nearest class." }),
  }),
);
export const DriftPictureParams = Type.Object({
  ...GalleryParams.properties,
  id: Type.String({ minLength: 1 }),
});

const AlertReply = Type.Object({
  id: Type.String(),
  gallery: Type.String(),
  kind: Type.Enum(["drift", "quality"]),
  state: Type.Enum(["raised", "resolved"]),
  text: Type.String(),
  since: Type.String(),
  time: Type.String(),
});

export const DriftReply = Type.Object({
  revision: known(Type.Integer({ description: "Revision whose answers are watched." })),
  since: known(Type.Integer({ description: "When the reference began." })),
  phase: Type.Enum(["learning", "watching"]),
  reference: Type.Object({
    frames: count,
    of: count,
    summary: Type.Union([Type.Object(summary), Type.Null()]),
  }),
  window: Type.Object({ frames: count, of: count }),
  level: Type.Number({
    description: "P(any alarm in `windows` windows in a row) where nothing has changed, at most.",
  }),
  windows: count,
  alarm: Type.Boolean(),
  unknownRate: known(share),
  judged: Type.ReadonlyObject(Type.Array(Window), { description: "The last windows, oldest first." }),
  pictures: Type.Object(
    {
      reference: pictures,
      alarmed: Type.Union([
        Type.Object({
          frame: Type.Integer({ description: "Of the last window that alarmed." }),
          pictures,
        }),
        Type.Null(),
      ]),
    },
    { description: "Before and after: up to 4 frames of each answer, each frame with the same chance." },
  ),
  text: Type.Union([Type.String({ description: "What the last alarm means." }), Type.Null()]),
  alerts: Type.ReadonlyObject(Type.Array(AlertReply), { description: "Raised and not resolved." }),
});
export type DriftReply = Static<typeof DriftReply>;
