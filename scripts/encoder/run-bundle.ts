import { join } from "node:path";
import type { Bundle } from "../../src/models/index.ts";
import {
  exportBundle,
  parseTrainConfig,
  readCheckpoint,
  shipped,
  type TrainConfig,
} from "../../src/train/index.ts";

export interface RunBundle {
  readonly bundle: Bundle;
  readonly step: number;
  /** Pictures that it was shown, those of earlier sittings not counted. */
  readonly views: number;
}

/** What a run's last checkpoint would be shipped as; `null` where there is none. */
export async function runBundle(run: string): Promise<RunBundle | null> {
  const found = await readCheckpoint<{ step: number; config: TrainConfig }>(join(run, "last.ckpt"));
  if (!found) return null;
  const config = parseTrainConfig(found.note.config);
  const { step } = found.note;
  const bundle = exportBundle({
    config,
    weights: shipped(config, found.states),
    pixels: { interpolation: "bilinear", invert: false },
    provenance: {
      origin: `step ${step}`,
      license: "Apache-2.0",
      trainedOn:
        "corpus, CIFAR-FS train and val, Omniglot background, drawn parts and surfaces; see the model card",
    },
  });
  return { bundle, step, views: step * config.batch! };
}
