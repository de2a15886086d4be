export { type AuditLog, type AuditLogOptions, openAuditLog, verifyAudit } from "../audit/index.ts";
export {
  type Admission,
  type AdmissionOptions,
  createAdmission,
  type EncoderPool,
  openPool,
  type PoolOptions,
} from "../serving/index.ts";
export { buildServer, type ServerOptions } from "./app.ts";
export { findConsole } from "./console.ts";
export { createApiKey, hashApiKey } from "./keys.ts";
export type { ServerLimits } from "./limits.ts";
export { type ListenOptions, listen } from "./listen.ts";
export type { LearningOptions, OpenModel } from "./models.ts";
export type { OidcOptions } from "./oidc.ts";
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
export { DriftReply } from "./protocol-monitor.ts";
export { type Role, roles, scopesOf } from "./roles.ts";
