import { quote } from "../core/index.ts";
import type { Recognizer } from "../recognizer/index.ts";
import type { Context } from "./context.ts";
import { decisionText } from "./decision-text.ts";

/** Says that a gallery keeps the decision that an older Protoline gave it, and how to take today's. */
export function noteOlderDecision(
  { note, gallery }: Pick<Context, "note" | "gallery">,
  { decisionIsOlder, decision, encoder }: Pick<Recognizer, "decisionIsOlder" | "decision" | "encoder">,
): void {
  if (!decisionIsOlder) return;
  note(
    `gallery ${quote(gallery)} keeps the decision that it was made with (${decisionText(decision)}); protoline tune --default takes today's (${decisionText(encoder.manifest.decision)})`,
  );
}
