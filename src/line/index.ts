export { type LineConfig, parseLine, type SinkSpec, type SourceSpec } from "./config.ts";
export { createPatience, type Patience } from "./patience.ts";
export {
  type PlanOptions,
  planReplay,
  type ReplayClass,
  type ReplayFrame,
  type ReplayPlan,
} from "./replay/plan.ts";
export {
  type Onboarding,
  type ReplayOptions,
  type ReplayRecord,
  type ReplayResult,
  type ReplayTarget,
  replay,
} from "./replay/replay.ts";
export {
  type ClassSummary,
  type Latency,
  type PhaseSummary,
  type Rate,
  type ReplaySummary,
  summarizeReplay,
} from "./replay/summary.ts";
export { type ResendReport, resendDeadLetters } from "./resend.ts";
export { checkLine, type LineOptions, type LineReport, runLine } from "./run.ts";
export { mqttSink } from "./sinks/mqtt.ts";
export { webhookSink } from "./sinks/webhook.ts";
export {
  type Frame,
  type LineResult,
  type Message,
  Refused,
  type Sink,
  type Source,
  type SourceContext,
} from "./types.ts";
