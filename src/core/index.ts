export { joinBytes } from "./bytes.ts";
export { type Embeddings, row, stack, take } from "./embeddings.ts";
export {
  type ErrorCode,
  type ErrorDetails,
  errorTable,
  isProtolineError,
  ProtolineError,
  quote,
} from "./errors.ts";
export { createRng, type Rng } from "./rng.ts";
export { createSha256, type Sha256, sha256 } from "./sha256.ts";
export { createPace, finish, inSlices, type Steps } from "./steps.ts";
