import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { listClasses } from "../data/index.ts";
import { defaultDecision } from "../fewshot/index.ts";
import { openEncoder } from "../models/index.ts";
import { embedDataset } from "./embed.ts";
import { evaluate } from "./evaluate.ts";
import { parseHead, parseTransform } from "./names.ts";

const images = fileURLToPath(new URL("../../../shared/datasets/x-sdd/images", import.meta.url));
const mirror = process.env.PROTOLINE_MIRROR ?? "";
const there = existsSync(images) && existsSync(join(mirror, "mobilenet-v1-224.onnx"));

it.skipIf(!there)("names steel surface defects (needs the X-SDD images and MobileNetV1)", async () => {
  const { classes } = await listClasses(images);
  // The whole set gives 93 % at 5 shots; the first twenty pictures of each class, near each other in time, a bit more.
  const some = classes.map(({ label, images }) => ({ label, images: images.slice(0, 20) }));
  const encoder = await openEncoder("mobilenet-v1", { sources: { cache: mirror, mirror } });
  const dataset = await embedDataset(some, encoder);
  await encoder.close();
  expect(dataset.rejected).toEqual([]);
  const plain = {
    ...defaultDecision,
    transform: parseTransform("l2"),
    head: parseHead("prototype"),
  };
  const run = async (change: object) =>
    (await evaluate({ dataset, decision: plain, shots: [5], episodes: 60, ...change })).results[0]!;
  const { mean } = await run({});
  expect(mean).toBeGreaterThan(0.86);
  expect(mean).toBeLessThan(1);
  // One picture shows less than five; four known classes are told from three unknown ones.
  expect((await run({ shots: [1] })).mean).toBeLessThan(mean - 0.05);
  const { auroc, oscr } = await run({ way: 4, openSet: 3 });
  expect(auroc!).toBeGreaterThan(0.8);
  expect(oscr!).toBeLessThanOrEqual(1);
});
