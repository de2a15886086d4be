import { type Entry, type Job, measure } from "./measure.ts";

/** Waits for a job from the process that forked this one, and sends back its entries. */
process.once("message", async (job: Job) => {
  await measure(job, (entry: Entry) => process.send!(entry));
  process.disconnect();
});
