import { train } from "../../src/train/index.ts";
import { toyConfig, toySet } from "./toy.ts";

/** A training in a process of its own, to be killed: `run-toy.ts FOLDER`. */
const [out] = process.argv.slice(2);
await train({
  config: toyConfig(),
  train: toySet(12, 8, 1),
  validation: toySet(8, 8, 2),
  out: out!,
  resume: true,
});
