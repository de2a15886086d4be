import type { Command } from "commander";
import { audit } from "./audit.ts";
import { backfill } from "./backfill.ts";
import { data } from "./data.ts";
import { demo } from "./demo.ts";
import { doctor } from "./doctor.ts";
import { enroll } from "./enroll.ts";
import { evaluate } from "./evaluate.ts";
import { exportModel } from "./export.ts";
import { gallery } from "./gallery.ts";
import { keys } from "./keys.ts";
import { learn } from "./learn.ts";
import { line } from "./line.ts";
import { models } from "./models.ts";
import { monitor } from "./monitor.ts";
import { prune } from "./prune.ts";
import { quantize } from "./quantize.ts";
import { recognize } from "./recognize.ts";
import { replay } from "./replay.ts";
import { report } from "./report.ts";
import { serve } from "./serve.ts";
import { train } from "./train.ts";
import { tune } from "./tune.ts";
import { work } from "./work.ts";

/** One line a command, in the order of the help page. */
export const commands: readonly ((program: Command) => void)[] = [
  enroll,
  recognize,
  gallery,
  tune,
  learn,
  monitor,
  evaluate,
  replay,
  train,
  report,
  models,
  quantize,
  prune,
  exportModel,
  data,
  keys,
  audit,
  serve,
  line,
  backfill,
  work,
  doctor,
  demo,
];
