export { type Evaluated, type ResultRow, readEvaluations } from "./evaluation.ts";
export type { ExpectedContent } from "./expected-section.ts";
export { type MonitorContent, renderMonitor } from "./monitor.ts";
export { type ReportContent, renderReport } from "./page.ts";
export { type Run, readRun, type StepLine, type ValidationLine } from "./run.ts";
export type { Language } from "./words.ts";
