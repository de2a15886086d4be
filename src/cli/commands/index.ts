import type { Command } from "commander";
import { data } from "./data.ts";
import { demo } from "./demo.ts";
import { doctor } from "./doctor.ts";
import { enroll } from "./enroll.ts";
import { evaluate } from "./evaluate.ts";
import { exportModel } from "./export.ts";
import { gallery } from "./gallery.ts";
import { keys } from "./keys.ts";
import { models } from "./models.ts";
import { prune } from "./prune.ts";
import { quantize } from "./quantize.ts";
import { recognize } from "./recognize.ts";
import { report } from "./report.ts";
import { serve } from "./serve.ts";
import { train } from "./train.ts";
import { tune } from "./tune.ts";

/** One line a command, in the order of the help page. */
export const commands: readonly ((program: Command) => void)[] = [
  enroll,
  recognize,
  gallery,
  tune,
  evaluate,
  train,
  report,
  models,
  quantize,
  prune,
  exportModel,
  data,
  keys,
  serve,
  doctor,
  demo,
];
