export { buildServer, type ServerOptions } from "./app.ts";
export { createApiKey, hashApiKey } from "./keys.ts";
export type { ServerLimits } from "./limits.ts";
export { type ListenOptions, listen } from "./listen.ts";
export type {
  ClassesReply,
  EnrollReply,
  ErrorReply,
  GalleryReply,
  RecognitionReply,
  RecognitionsReply,
  RevisionReply,
  SamplesReply,
} from "./protocol.ts";
