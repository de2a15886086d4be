import Type, { type Static } from "typebox";
import { apiScopes } from "../store/store.ts";
import {
  ClassParams,
  EnrollReply,
  ErrorReply,
  GalleryParams,
  ReasonQuery,
  RecognitionReply,
  RevisionReply,
} from "./protocol.ts";
import { CheckedLimit } from "./protocol-limits.ts";
import { type Verdict, verdicts } from "./tray/types.ts";

/** Requests and replies that the console asks for beside those of `protocol.ts`. Times are milliseconds since 1970. */

const closed = { additionalProperties: false };
const count = Type.Integer({ minimum: 0 });
const maybe = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);

export const MeReply = Type.Object({
  kind: Type.Union([Type.Literal("key"), Type.Literal("person"), Type.Literal("local")]),
  name: Type.String({ description: "Recorded with every change." }),
  scopes: Type.Array(Type.Unsafe<(typeof apiScopes)[number]>({ type: "string", enum: [...apiScopes] })),
});
export type MeReply = Static<typeof MeReply>;

export const ThumbnailParams = Type.Object({
  ...GalleryParams.properties,
  id: Type.String({ minLength: 1 }),
});

export const CheckParams = ClassParams;
const CheckedPicture = Type.Object({
  origin: Type.String(),
  error: maybe(Type.Object({ code: Type.String(), message: Type.String() })),
  duplicateOf: maybe(
    Type.Object(
      { id: Type.String(), label: Type.String() },
      { description: "Sample with the very same bytes." },
    ),
  ),
  sameAs: maybe(
    Type.Integer({ minimum: 0, description: "Index of an earlier picture that looks the same." }),
  ),
  outlier: Type.Boolean({ description: "Much farther from the class's other pictures than they are." }),
  distance: maybe(
    Type.Number({ description: "Cosine distance to the mean of the class's other pictures, 0 … 2." }),
  ),
  leftOut: maybe(
    Type.Object(
      {
        kind: Type.Union([Type.Literal("known"), Type.Literal("ambiguous"), Type.Literal("unknown")]),
        label: maybe(Type.String()),
        right: Type.Boolean(),
      },
      { description: "The answer for it from a gallery that holds all of the other pictures." },
    ),
  ),
});
export const CheckReply = Type.Object({
  label: Type.String(),
  revision: Type.Integer({ minimum: 0 }),
  pictures: Type.Array(CheckedPicture),
  nearest: maybe(
    Type.Object(
      {
        label: Type.String(),
        pictures: Type.Integer({
          minimum: 0,
          description: "Pictures whose nearest other class it is.",
        }),
        inside: Type.Integer({
          minimum: 0,
          description: "Those of them that are within that class's limit, where it has one.",
        }),
      },
      { description: "The other class that these pictures are most easily taken for." },
    ),
  ),
  leftOut: maybe(Type.Object({ right: count, of: count })),
  limit: Type.Union([CheckedLimit, Type.Null()], {
    description:
      "How sure the class's limit is with these pictures (of a class of more than 48, as it is now); null without a picture.",
  }),
});
export type CheckReply = Static<typeof CheckReply>;

export const MoveQuery = ReasonQuery;
export const MoveBody = Type.Object(
  {
    id: Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: 1000 }),
    into: Type.String({ description: "Class that takes the samples; it need not exist." }),
  },
  closed,
);
export const MoveReply = Type.Object({
  before: Type.Integer({ minimum: 0, description: "The revision to roll back to in order to undo it." }),
  revision: RevisionReply,
});
export type MoveReply = Static<typeof MoveReply>;

/** A text message to whoever watches a gallery. */
export const WatchReply = Type.Union([
  Type.Object({
    id: Type.String({ description: "For asking for its picture as it came, while it is among the newest." }),
    time: Type.Integer({ description: "When it was answered." }),
    passed: Type.Integer({
      minimum: 0,
      description:
        "Frames since the last message that were answered and are not shown, as a newer one was there.",
    }),
    from: Type.String({ description: "Who sent it: the name of a key, of a person, or of a line." }),
    part: maybe(Type.String({ description: "Serial number of the part, where a line told it." })),
    answer: RecognitionReply,
    picture: Type.String({
      description: "What was looked at, as a JPEG of at most 480 pixels a side, base64.",
    }),
  }),
  ErrorReply,
]);
export type WatchReply = Static<typeof WatchReply>;

export const CandidatesReply = Type.Object({
  models: Type.ReadonlyObject(Type.Array(Type.String()), {
    description: "Names of the models that galleries and candidates may have, the server's own first.",
  }),
  learns: Type.Boolean({ description: "Whether a gallery's encoder can be trained further here." }),
  candidates: Type.Array(
    Type.Object({
      gallery: Type.String(),
      id: Type.String(),
      who: Type.String(),
      since: Type.Integer(),
      model: Type.String(),
      phase: Type.String(),
    }),
  ),
});
export type CandidatesReply = Static<typeof CandidatesReply>;

const ids = Type.Array(Type.String({ minLength: 1 }), {
  minItems: 1,
  maxItems: 1000,
  description: "Ids of frames.",
});
const verdict = Type.Unsafe<Verdict>({ type: "string", enum: [...verdicts] });
export const FrameParams = Type.Object({ ...GalleryParams.properties, id: Type.String({ minLength: 1 }) });
const TrayFrameReply = Type.Object({
  id: Type.String(),
  time: Type.Integer({ description: "When it, or the last that looked the same, came." }),
  kind: Type.Union([Type.Literal("unknown"), Type.Literal("ambiguous")]),
  excess: maybe(
    Type.Number({
      description: "Distance to the nearest class over that class's limit; null where none was known.",
    }),
  ),
  candidates: Type.Array(Type.Object({ label: Type.String(), distance: Type.Number() })),
  revision: Type.Integer({ minimum: 0, description: "The revision that answered." }),
  seen: Type.Integer({ minimum: 1, description: "Frames that looked the same, this one included." }),
  feedback: maybe(Type.Object({ verdict, reviewer: Type.String(), time: Type.Integer() })),
});
export const TrayReply = Type.Object({
  groups: Type.Array(Type.Object({ frames: Type.Array(TrayFrameReply) }), {
    description: "Frames that look alike, the largest group first; within one the newest first.",
  }),
  dropped: Type.Integer({
    minimum: 0,
    description: "Frames that gave way to others since the server started.",
  }),
});
export type TrayReply = Static<typeof TrayReply>;
export const AssignBody = Type.Object(
  { id: ids, label: Type.String({ description: "Class that takes the frames; it need not exist." }) },
  closed,
);
export const FramesBody = Type.Object({ id: ids }, closed);
export const FeedbackBody = Type.Object(
  {
    id: ids,
    verdict,
    reviewer: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: "Who looked; default, and always for a person with a token, the caller.",
      }),
    ),
  },
  closed,
);
export const UndoBody = Type.Object({ action: Type.String({ minLength: 1 }) }, closed);
export const ActionReply = Type.Object({
  action: Type.String({ description: "For undoing it." }),
  frames: Type.Integer({ minimum: 0 }),
});
export const AssignReply = Type.Object({ ...ActionReply.properties, report: EnrollReply });
export type AssignReply = Static<typeof AssignReply>;
export type ActionReply = Static<typeof ActionReply>;

export const MapReply = Type.Object({
  revision: Type.Integer({ minimum: 0 }),
  of: Type.Integer({ minimum: 0, description: "Samples of the revision; at most 500 of them are shown." }),
  falseRejectRate: Type.Number({
    description: "Of the decision: share of known frames that may be called unknown.",
  }),
  dim: Type.Integer({ minimum: 0 }),
  vectors: Type.String({
    description:
      "The samples' embeddings, transformed and centred on the classes: float32, little-endian, [samples, dim], base64.",
  }),
  samples: Type.Array(
    Type.Object({
      id: Type.String(),
      label: Type.String(),
      origin: Type.String(),
      leftOut: maybe(
        Type.Object(
          {
            kind: Type.Union([Type.Literal("known"), Type.Literal("ambiguous"), Type.Literal("unknown")]),
            nearest: Type.String(),
            confidence: Type.Number({ description: "In its own class, 0 … 1." }),
            excess: maybe(
              Type.Number({
                description:
                  "Distance to the nearest class over that class's limit: above 1 the picture is unknown. Null where no limit is known.",
              }),
            ),
            strange: maybe(
              Type.Number({ description: "The same over the other classes, as if its own were not known." }),
            ),
          },
          {
            description: "The answer for it from a gallery without it; null for the only picture of a class.",
          },
        ),
      ),
    }),
  ),
});
export type MapReply = Static<typeof MapReply>;
export const DecisionBody = Type.Object(
  {
    falseRejectRate: Type.Number({
      exclusiveMinimum: 0,
      exclusiveMaximum: 1,
      description: "Share of frames of known classes that may be called unknown.",
    }),
  },
  closed,
);
