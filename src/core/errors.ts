/**
 * Every error that leaves Protoline carries a code from this table. A code is stable: programs may branch on it.
 * `docs/errors/<CODE>.md` holds cause and remedy for each; a test keeps the two in step.
 */

interface ErrorRow {
  /** HTTP status that the server answers with. */
  readonly status: 400 | 401 | 403 | 404 | 408 | 409 | 413 | 415 | 422 | 429 | 431 | 500 | 503 | 507;
  /** What is wrong, as the beginning of a sentence, without a full stop. */
  readonly title: string;
}

export const errorTable = {
  // core
  INVALID_ARGUMENT: { status: 400, title: "An argument is not valid" },
  INTERNAL: { status: 500, title: "Protoline itself is at fault" },
  // data
  IMAGE_NOT_FOUND: { status: 404, title: "The image file does not exist or cannot be read" },
  IMAGE_EMPTY: { status: 400, title: "The image has no bytes" },
  IMAGE_TOO_LARGE: { status: 413, title: "The image is larger than the limit" },
  IMAGE_UNSUPPORTED: { status: 415, title: "The file is not an image of a supported format" },
  IMAGE_BROKEN: { status: 422, title: "The image cannot be decoded" },
  IMAGE_TOO_SMALL: { status: 422, title: "The image is too small to show anything" },
  REGION_OUTSIDE: { status: 400, title: "The region of interest lies outside the image" },
  FOLDER_NOT_FOUND: { status: 404, title: "The folder does not exist or cannot be read" },
  FOLDER_EMPTY: { status: 400, title: "The folder holds no images" },
  CLASS_EMPTY: { status: 400, title: "A class has no images" },
  EPISODE_IMPOSSIBLE: { status: 400, title: "The data are too few for such an episode" },
  DATASET_NOT_FOUND: { status: 404, title: "The data set is not there" },
  DATASET_BROKEN: { status: 422, title: "The data set is not what it should be" },
  DATASET_TOO_LARGE: { status: 413, title: "The data set does not fit the limit on memory" },
  DATASET_DOWNLOAD_FAILED: { status: 503, title: "The data set could not be downloaded" },
  DATASET_HASH_MISMATCH: { status: 422, title: "The file of the data set is not the published one" },
  SPLIT_INVALID: { status: 422, title: "The split file does not fit the data set" },
  // graph, onnx, runtime
  MODEL_BROKEN: { status: 422, title: "The file is not an ONNX model" },
  MODEL_UNSUPPORTED: { status: 422, title: "The model uses what Protoline cannot run" },
  GRAPH_INVALID: { status: 422, title: "The graph is not valid" },
  PROVIDER_UNAVAILABLE: { status: 503, title: "The execution provider is not available here" },
  SESSION_LIMIT: { status: 503, title: "Too many models are open at once" },
  // models
  MODEL_NOT_FOUND: { status: 404, title: "There is no such model" },
  MODEL_HASH_MISMATCH: { status: 422, title: "The file is not the one that was promised" },
  MODEL_DOWNLOAD_FAILED: { status: 503, title: "The model could not be downloaded" },
  BUNDLE_INVALID: { status: 422, title: "The bundle is not valid" },
  MODEL_MISMATCH: { status: 409, title: "These embeddings were made by another model" },
  // fewshot
  DIMENSION_MISMATCH: { status: 400, title: "The dimensions do not agree" },
  NOT_FINITE: { status: 422, title: "A number is not finite" },
  GALLERY_EMPTY: { status: 409, title: "The gallery holds no classes yet" },
  TOO_FEW_SAMPLES: { status: 400, title: "There are too few samples for this" },
  // train
  CONFIG_INVALID: { status: 400, title: "The training config is not valid" },
  CHECKPOINT_INVALID: { status: 422, title: "The checkpoint cannot be used" },
  TRAINING_DIVERGED: { status: 422, title: "The training has left the finite numbers" },
  // report
  REPORT_SOURCE_NOT_FOUND: { status: 404, title: "There is nothing to report on" },
  REPORT_SOURCE_INVALID: { status: 422, title: "The file holds nothing to report on" },
  // jobs
  JOB_INCOMPLETE: { status: 503, title: "Parts of a job failed" },
  QUEUE_UNAVAILABLE: { status: 503, title: "The queue of bulk work does not answer" },
  // recognizer
  CANDIDATE_EXISTS: { status: 409, title: "There is a candidate already" },
  CANDIDATE_NOT_FOUND: { status: 404, title: "There is no candidate" },
  CANDIDATE_NOT_READY: { status: 409, title: "The candidate is not ready for that" },
  // line
  LINE_INVALID: { status: 400, title: "The line cannot run as it is described" },
  // store
  LABEL_INVALID: { status: 400, title: "The class name is not valid" },
  GALLERY_NOT_FOUND: { status: 404, title: "There is no such gallery" },
  GALLERY_EXISTS: { status: 409, title: "There is a gallery of that name already" },
  GALLERY_FILE_INVALID: { status: 422, title: "The file is not a whole gallery" },
  CLASS_NOT_FOUND: { status: 404, title: "There is no such class" },
  CLASS_EXISTS: { status: 409, title: "There is a class of that name already" },
  REVISION_NOT_FOUND: { status: 404, title: "There is no such revision" },
  SAMPLE_IN_OTHER_CLASS: { status: 409, title: "The same image is enrolled in another class" },
  STORE_BROKEN: { status: 503, title: "The store cannot be read" },
  STORE_NEWER: { status: 503, title: "The store was written by a newer Protoline" },
  STORE_READ_ONLY: { status: 503, title: "The store cannot be written" },
  STORE_BUSY: { status: 503, title: "Another process holds the store" },
  STORE_UNAVAILABLE: { status: 503, title: "The store's server does not answer" },
  STORE_FULL: { status: 507, title: "There is no space left for the store" },
  // server
  UNAUTHORIZED: { status: 401, title: "A valid API key is needed" },
  FORBIDDEN: { status: 403, title: "The API key does not allow this" },
  TOKEN_INVALID: { status: 401, title: "The token is not accepted" },
  ISSUER_UNAVAILABLE: { status: 503, title: "The issuer of tokens does not answer" },
  TOO_MANY_REQUESTS: { status: 429, title: "Too many requests" },
  BODY_TOO_LARGE: { status: 413, title: "The request body is larger than the limit" },
  ROUTE_NOT_FOUND: { status: 404, title: "There is no such address" },
  SAMPLE_NOT_FOUND: { status: 404, title: "There is no such support sample" },
  FRAME_NOT_FOUND: { status: 404, title: "There is no such frame" },
  CONTENT_TYPE_UNSUPPORTED: { status: 415, title: "The content type of the request is not supported" },
  HEADERS_TOO_LARGE: {
    status: 431,
    title: "The address and headers of the request are larger than the limit",
  },
  REQUEST_TIMEOUT: { status: 408, title: "The request did not arrive in time" },
  OVERLOADED: { status: 503, title: "The server has more to do than it can" },
  TIMED_OUT: { status: 503, title: "The answer took longer than the limit" },
  LISTEN_FAILED: { status: 503, title: "The server cannot listen there" },
  // audit
  AUDIT_UNAVAILABLE: { status: 503, title: "The audit log cannot be written, so nothing is changed" },
  AUDIT_BROKEN: { status: 422, title: "The audit log is not whole" },
  // cli
  KEY_NOT_FOUND: { status: 404, title: "There is no such API key" },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

export interface ErrorDetails {
  /** What would have been right. */
  readonly expected: string;
  /** What was there instead. */
  readonly got: string;
  /** What the reader can do now, as a full sentence. */
  readonly todo: string;
  readonly cause?: unknown;
}

/** An error with a code of {@link errorTable}, what was expected, what was found, and what to do about it. */
export class ProtolineError extends Error {
  override readonly name = "ProtolineError";
  readonly code: ErrorCode;
  readonly expected: string;
  readonly got: string;
  readonly todo: string;

  constructor(code: ErrorCode, { expected, got, todo, cause }: ErrorDetails) {
    super(`${errorTable[code].title}: expected ${expected}, got ${got}. ${todo}`, { cause });
    this.code = code;
    this.expected = expected;
    this.got = got;
    this.todo = todo;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  toJSON(): { code: ErrorCode; message: string; expected: string; got: string; todo: string } {
    return {
      code: this.code,
      message: this.message,
      expected: this.expected,
      got: this.got,
      todo: this.todo,
    };
  }
}

export function isProtolineError(error: unknown): error is ProtolineError {
  return error instanceof ProtolineError;
}

/** Shortens text from outside so that an error stays one readable sentence; control characters become `?`. */
export function quote(text: string, limit = 80): string {
  const clean = text.replace(/\p{C}/gu, "?");
  return `"${clean.length > limit ? `${clean.slice(0, limit)}…` : clean}"`;
}
