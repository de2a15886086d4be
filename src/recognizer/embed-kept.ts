import type { DecisionSpec } from "../fewshot/types.ts";
import { embedAgain, type KeptPictures } from "./embed-again.ts";
import { fileReader } from "./pictures.ts";

/** {@link embedAgain} with Node's decoder. Throws MODEL_MISMATCH for a sample of which no picture was kept. */
export const embedKept = (
  parts: Omit<KeptPictures, "reader">,
  samples: Parameters<typeof embedAgain>[1],
  views: DecisionSpec["views"]["support"],
): ReturnType<typeof embedAgain> => embedAgain({ ...parts, reader: fileReader(undefined) }, samples, views);
