import Type, { type Static } from "typebox";
import { type ErrorCode, errorTable } from "../core/index.ts";
import { AppliedLimit, ClassLimit, CountedRate, ExpectedReply } from "./protocol-limits.ts";

/** Requests and replies of the HTTP interface, as JSON schemas and as types. Times are milliseconds since 1970. */

const closed = { additionalProperties: false };
const literals = <T extends string>(values: readonly T[]) =>
  Type.Unsafe<T>({ type: "string", enum: [...values] });

export const ErrorReply = Type.Object({
  error: Type.Object({
    code: literals(Object.keys(errorTable) as ErrorCode[]),
    message: Type.String({ description: "All of the below in one sentence." }),
    expected: Type.String(),
    got: Type.String(),
    todo: Type.String({ description: "What to do now." }),
  }),
});
export type ErrorReply = Static<typeof ErrorReply>;

export const GalleryParams = Type.Object({
  gallery: Type.String({
    pattern: "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$",
    description: "Name of the gallery.",
  }),
});
const label = Type.String({ minLength: 1, description: "Name of the class, percent-encoded." });
export const ClassParams = Type.Object({ ...GalleryParams.properties, label });
export const SampleParams = Type.Object({ ...GalleryParams.properties, id: Type.String({ minLength: 1 }) });
const revisionNumber = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 });
export const DiffParams = Type.Object({
  ...GalleryParams.properties,
  from: revisionNumber,
  to: revisionNumber,
});

/** Every change takes a reason. */
export const ReasonQuery = Type.Object(
  { reason: Type.Optional(Type.String({ maxLength: 1000, description: "Kept with the revision." })) },
  closed,
);
const region = Type.Optional(
  Type.String({
    pattern: "^\\d{1,7},\\d{1,7},\\d{1,7},\\d{1,7}$",
    description: "Region of interest: x,y,width,height in pixels of the upright image.",
  }),
);
export const RecognizeQuery = Type.Object(
  {
    topK: Type.Integer({
      minimum: 1,
      maximum: 100,
      default: 3,
      description: "Candidates and nearest support samples in the answer.",
    }),
    region,
    withinMs: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 600_000,
        description: "An answer after so many milliseconds is of no use: TIMED_OUT instead.",
      }),
    ),
  },
  closed,
);
export const EnrollQuery = Type.Object(
  {
    ...ReasonQuery.properties,
    region,
    origin: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description: "Name of the image, for the reader; of files, their own names are taken.",
      }),
    ),
    allowOtherClass: Type.Boolean({
      default: false,
      description: "Enroll an image that another class holds too, instead of refusing it.",
    }),
  },
  closed,
);
export const SamplesQuery = Type.Object(
  { label: Type.Optional(label), revision: Type.Optional(revisionNumber) },
  closed,
);
export const RemoveSamplesQuery = Type.Object(
  {
    ...ReasonQuery.properties,
    id: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      maxItems: 1000,
      description: "Ids of the samples; repeat the field for several.",
    }),
  },
  closed,
);
export const HistoryQuery = Type.Object(
  { limit: Type.Integer({ minimum: 1, maximum: 10_000, default: 100 }) },
  closed,
);

const count = Type.Integer({ minimum: 0 });
const milliseconds = Type.Number({ minimum: 0 });

export const RevisionReply = Type.Object({
  number: revisionNumber,
  hash: Type.String({ description: "SHA-256 of the content: equal content, equal hash." }),
  parent: Type.Union([revisionNumber, Type.Null()]),
  time: Type.Integer(),
  who: Type.String(),
  reason: Type.String(),
  classes: count,
  samples: count,
});
export type RevisionReply = Static<typeof RevisionReply>;

const Refresh = Type.Union([
  Type.Object({ kind: Type.Literal("immediate") }, closed),
  Type.Object({ kind: Type.Literal("after"), samples: Type.Integer({ minimum: 1 }) }, closed),
  Type.Object({ kind: Type.Literal("manual") }, closed),
]);
export const NewGalleryBody = Type.Object(
  { name: GalleryParams.properties.gallery, refresh: Type.Optional(Refresh) },
  closed,
);
export const GalleryReply = Type.Object({
  name: Type.String(),
  model: Type.String(),
  modelHash: Type.String(),
  dim: Type.Integer(),
  refresh: Refresh,
  head: RevisionReply,
  pending: Type.Integer({ description: "Samples that are in no revision yet." }),
});
export type GalleryReply = Static<typeof GalleryReply>;
export const GalleriesReply = Type.Object({ galleries: Type.Array(GalleryReply) });

export const ClassesReply = Type.Object({
  revision: revisionNumber,
  classes: Type.Array(
    Type.Object({
      label: Type.String(),
      samples: count,
      spread: Type.Number({
        description:
          "Root mean square distance of the samples' embeddings from their mean; 0 for one sample.",
      }),
      limit: Type.Union([ClassLimit, Type.Null()], {
        description: "Where the class ends; null where the server does not answer from this revision.",
      }),
    }),
  ),
});
export type ClassesReply = Static<typeof ClassesReply>;
export const QualityQuery = Type.Object(
  {
    expected: Type.Boolean({
      default: true,
      description: "Whether the expected rates are wanted: of a large gallery they take many seconds.",
    }),
  },
  closed,
);
export const QualityReply = Type.Object({
  revision: revisionNumber,
  falseRejectRate: Type.Number({
    description: "Of the decision: share of frames of known classes that may be called unknown.",
  }),
  expected: Type.Union([ExpectedReply, Type.Null()], { description: "Null where they were not asked for." }),
  classes: Type.ReadonlyObject(
    Type.Array(
      Type.Object({
        label: Type.String(),
        pictures: count,
        right: CountedRate,
        wrong: CountedRate,
        unknown: CountedRate,
        ambiguous: CountedRate,
        meanConfidence: Type.Number(),
        confusable: Type.Union([Type.Object({ label: Type.String(), pictures: count }), Type.Null()]),
        verdict: Type.Enum(["good", "watch", "bad"]),
        todo: Type.Union([Type.String({ description: "What to do." }), Type.Null()]),
        limit: Type.Union([ClassLimit, Type.Null()]),
      }),
    ),
  ),
});
export type QualityReply = Static<typeof QualityReply>;
export const RenameBody = Type.Object({ label: Type.String() }, closed);
export const MergeBody = Type.Object(
  { from: Type.Array(Type.String(), { minItems: 1, maxItems: 1000 }), into: Type.String() },
  closed,
);
export const RollbackBody = Type.Object({ to: revisionNumber }, closed);

export const SamplesReply = Type.Object({
  revision: revisionNumber,
  samples: Type.Array(
    Type.Object({
      id: Type.String(),
      label: Type.String(),
      origin: Type.String(),
      contentHash: Type.String({ description: "SHA-256 of the encoded image." }),
      time: Type.Integer(),
      who: Type.String(),
    }),
  ),
});
export type SamplesReply = Static<typeof SamplesReply>;

export const HistoryReply = Type.Object({ revisions: Type.Array(RevisionReply) });
const sampleRef = Type.Object({ id: Type.String(), label: Type.String() });
export const DiffReply = Type.Object({
  from: revisionNumber,
  to: revisionNumber,
  added: Type.Array(sampleRef),
  removed: Type.Array(sampleRef),
  relabelled: Type.Array(Type.Object({ id: Type.String(), from: Type.String(), to: Type.String() })),
  decisionChanged: Type.Boolean(),
  modelChanged: Type.Boolean(),
});

const Rejected = Type.Object({ origin: Type.String(), code: Type.String(), message: Type.String() });
export const EnrollReply = Type.Object({
  label: Type.String(),
  added: Type.Array(Type.Object({ id: Type.String(), origin: Type.String() })),
  duplicates: Type.Array(Type.String(), { description: "Images that the class holds already." }),
  rejected: Type.Array(Rejected),
  revision: revisionNumber,
  pending: count,
  limit: Type.Union([ClassLimit, Type.Null()], {
    description: "Where the class ends in the revision that answers now; null while it is in none.",
  }),
  ms: Type.Object({ decode: milliseconds, embed: milliseconds, store: milliseconds, total: milliseconds }),
});
export type EnrollReply = Static<typeof EnrollReply>;
/** The answer when an enrollment waits for the store, which is away: nothing is added yet. */
export const EnrollLaterReply = Type.Object({
  ...EnrollReply.properties,
  id: Type.String({ description: "As `GET /v1/outbox` lists it." }),
  waiting: Type.ReadonlyObject(Type.Array(Type.String()), { description: "Images that were taken." }),
});
export type EnrollLaterReply = Static<typeof EnrollLaterReply>;
const Entry = {
  id: Type.String(),
  gallery: Type.String(),
  label: Type.String(),
  origins: Type.ReadonlyObject(Type.Array(Type.String())),
  who: Type.String(),
  time: Type.Integer(),
};
export const OutboxReply = Type.Object({
  waiting: Type.Array(Type.Object(Entry), { description: "In the order in which they will be made." }),
  refused: Type.Array(Type.Object({ ...Entry, code: Type.String(), message: Type.String() })),
});
export type OutboxReply = Static<typeof OutboxReply>;
/** The answer when no image of an enrollment was taken. */
export const EnrollErrorReply = Type.Object({ ...ErrorReply.properties, report: EnrollReply });

const Answer = {
  confidence: Type.Number({
    minimum: 0,
    maximum: 1,
    description: "Of the first candidate against the others; it says nothing about unknown.",
  }),
  distance: Type.Number({ description: "To the first candidate; lower is nearer." }),
  limit: AppliedLimit,
  candidates: Type.Array(
    Type.Object({
      label: Type.String(),
      confidence: Type.Number(),
      distance: Type.Number(),
      threshold: Type.Union([Type.Number(), Type.Null()], {
        description: "Above this distance an image is not of the class; null where that is not known yet.",
      }),
    }),
  ),
  nearestSupport: Type.Array(
    Type.Object({
      id: Type.String(),
      label: Type.String(),
      origin: Type.String(),
      distance: Type.Number(),
    }),
  ),
  gallery: Type.String(),
  revision: revisionNumber,
  model: Type.String(),
  modelHash: Type.String(),
  ms: Type.Object({
    decode: milliseconds,
    queue: Type.Number({ minimum: 0, description: "Waiting for a worker." }),
    embed: milliseconds,
    match: milliseconds,
    total: milliseconds,
  }),
};
export const RecognitionReply = Type.Union([
  Type.Object({ kind: Type.Literal("known"), label: Type.String(), ...Answer }),
  Type.Object({ kind: Type.Literal("ambiguous"), ...Answer }),
  Type.Object({ kind: Type.Literal("unknown"), ...Answer }),
]);
export type RecognitionReply = Static<typeof RecognitionReply>;
/** The answer to a multipart request: one entry a file, in order. */
export const RecognitionsReply = Type.Object({
  results: Type.Array(
    Type.Union([
      Type.Object({ origin: Type.String(), answer: RecognitionReply }),
      Type.Object({ origin: Type.String(), ...ErrorReply.properties }),
    ]),
  ),
});
export type RecognitionsReply = Static<typeof RecognitionsReply>;
const streamed = {
  frame: Type.Integer({ minimum: 1, description: "1 for the first message of the client." }),
  dropped: Type.Integer({
    minimum: 0,
    description: "Frames since the last reply that a newer one replaced before they were looked at.",
  }),
};
/** A text message of a stream. */
export const StreamReply = Type.Union([
  Type.Object({ ...streamed, answer: RecognitionReply }),
  Type.Object({ ...streamed, ...ErrorReply.properties }),
]);
export type StreamReply = Static<typeof StreamReply>;

export const ReadyReply = Type.Object({
  ready: Type.Boolean(),
  model: Type.String({ description: "`ok`, or why not." }),
  store: Type.String({ description: "`ok`, or why not." }),
  stopping: Type.Boolean({ description: "The server was told to end and finishes what runs." }),
});
export const VersionReply = Type.Object({
  protoline: Type.String(),
  model: Type.Object({
    name: Type.String(),
    version: Type.String(),
    hash: Type.String(),
    embeddingDim: Type.Integer(),
  }),
  store: Type.String({ description: "Driver of the store." }),
});
