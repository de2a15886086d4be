import type { Command } from "commander";
import { demo } from "./demo.ts";
import { enroll } from "./enroll.ts";
import { gallery } from "./gallery.ts";
import { keys } from "./keys.ts";
import { recognize } from "./recognize.ts";
import { serve } from "./serve.ts";

/** One line a command, in the order of the help page. */
export const commands: readonly ((program: Command) => void)[] = [
  enroll,
  recognize,
  gallery,
  keys,
  serve,
  demo,
];
