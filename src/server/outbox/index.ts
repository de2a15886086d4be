export type { Enrollment, Kept, Refused } from "./folder.ts";
export { openOutbox } from "./open.ts";
export type { Outbox } from "./outbox.ts";
