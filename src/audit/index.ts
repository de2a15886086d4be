export { type Actor, actingAs, currentActor } from "./actor.ts";
export type { AuditEvent, AuditLine } from "./chain.ts";
export type { Head } from "./files.ts";
export { type AuditLog, type AuditLogOptions, openAuditLog } from "./log.ts";
export { auditedStore } from "./store.ts";
export { type AuditProblem, type AuditReport, readAudit, verifyAudit } from "./verify.ts";
