import type { Command } from "commander";
import { isProtolineError, quote } from "../../core/index.ts";
import type { Region } from "../../data/index.ts";
import type { Recognition, Recognizer } from "../../recognizer/index.ts";
import { action, type Context, examples } from "../context.ts";
import { errorObject, exitCode, partlyDone } from "../exit.ts";
import { parseRegion, positiveInteger } from "../parse.ts";
import { kindOf, withRecognizer } from "../resources.ts";
import { displayWidth, fitTo, oneLine, plural, seconds, shorten } from "../text.ts";

interface RecognizeFlags {
  readonly top: number;
  readonly region?: Region;
}

export function recognize(program: Command): void {
  program
    .command("recognize")
    .description("say what the pictures show: a known class, unknown, or ambiguous")
    .argument("<paths...>", "pictures or folders")
    .option("--top <n>", "candidates and nearest support pictures of each answer", positiveInteger, 3)
    .option("--region <x,y,width,height>", "look at this part of each picture alone, pixels", parseRegion)
    .addHelpText(
      "after",
      `${examples(
        ["protoline recognize frames/", "one line a picture, as the answers come"],
        ["protoline recognize frame.jpg --json", "JSON Lines: one object a line"],
        [
          `protoline recognize frames/ --json | jq -r 'select(.kind == "unknown") | .file'`,
          "the unknown ones",
        ],
      )}\n\nWith --json a picture that cannot be read is a line { "file", "error" }. Exit code 0 when all were answered, whatever\nthe answers; ${partlyDone} when some pictures could not be read.`,
    )
    .action(action<[string[]], RecognizeFlags>(run));
}

async function listFrames(context: Context, paths: readonly string[]): Promise<string[]> {
  const { listImages } = await import("../../data/index.ts");
  const frames: string[] = [];
  for (const path of paths)
    if ((await kindOf(path)) === "folder") {
      const { images, skipped } = await listImages(path);
      frames.push(...images);
      for (const { path: file, reason } of skipped) context.note(`skipped ${quote(file, 200)}: ${reason}`);
    } else frames.push(path);
  return frames;
}

const widths = { answer: 9, confidence: 10, distance: 8, limit: 6, ms: 6 };
const longestName = 48;
const longestClass = 28;

async function run(context: Context, [paths]: [string[]], { top, region }: RecognizeFlags): Promise<number> {
  const frames = await listFrames(context, paths);
  return withRecognizer(context, "existing", (recognizer) =>
    answerAll(context, recognizer, frames, { topK: top, ...(region && { region }) }),
  );
}

async function answerAll(
  context: Context,
  recognizer: Recognizer,
  frames: readonly string[],
  options: { readonly topK: number; readonly region?: Region },
): Promise<number> {
  const { json, print, warn, note } = context;
  const line = createLine(context, recognizer, frames);
  const started = performance.now();
  const counts = { known: 0, unknown: 0, ambiguous: 0 };
  const errors: Error[] = [];
  const progress = await context.progress("recognize", json ? frames.length : 0);
  for (const [i, file] of frames.entries()) {
    try {
      const answer = await recognizer.recognize(file, options);
      if (i === 0 && !json) print(line.head);
      counts[answer.kind]++;
      print(json ? JSON.stringify({ file, ...answer }) : line.of(file, answer));
    } catch (error) {
      // An empty gallery is nobody's picture's fault.
      if (!isProtolineError(error) || error.code === "GALLERY_EMPTY") throw error;
      errors.push(error);
      if (json) print(JSON.stringify({ file, error: errorObject(error) }));
      else warn(`${quote(file, 200)} was not recognized: ${error.message} [${error.code}]`);
    }
    progress.update(i + 1);
  }
  progress.stop();
  note(
    `${plural(frames.length, "picture")} in ${seconds(performance.now() - started)}: ${counts.known} known, ${counts.unknown} unknown, ${counts.ambiguous} ambiguous${errors.length > 0 ? `, ${errors.length} not read` : ""}`,
  );
  if (errors.length === 0) return 0;
  return errors.length < frames.length ? partlyDone : exitCode(errors[0]);
}

/** Columns as wide as this run needs, so that lines can be printed one by one and still stand below each other. */
function createLine(
  { paint }: Context,
  recognizer: Recognizer,
  frames: readonly string[],
): { readonly head: string; of(file: string, answer: Recognition): string } {
  const widest = (texts: readonly string[], least: number, most: number): number =>
    Math.min(
      most,
      texts.reduce((width, text) => Math.max(width, displayWidth(oneLine(text))), least),
    );
  const name = widest(frames, 4, longestName);
  const label = widest([...new Set(recognizer.samples.map((sample) => sample.label))], 5, longestClass);
  const colors = { known: paint.green, ambiguous: paint.yellow, unknown: paint.red };
  return {
    head: paint.bold(
      [
        fitTo("file", name),
        fitTo("answer", widths.answer),
        fitTo("class", label),
        fitTo("confidence", widths.confidence, "right"),
        fitTo("distance", widths.distance, "right"),
        fitTo("limit", widths.limit, "right"),
        fitTo("decode", widths.ms, "right"),
        fitTo("embed", widths.ms, "right"),
        fitTo("match", widths.ms, "right"),
        "nearest support picture",
      ].join("  "),
    ),
    of(file, answer) {
      const best = answer.candidates[0];
      const { kind, nearestSupport, ms } = answer;
      // For an answer without a class, the class that came nearest, in brackets.
      const shown = kind === "known" ? answer.label : `(${best?.label ?? ""})`;
      const nearest = nearestSupport[0];
      return [
        fitTo(shorten(oneLine(file), name, "start"), name),
        colors[kind](fitTo(kind, widths.answer)),
        fitTo(oneLine(shown), label),
        // Of an unknown part a confidence says nothing: it ranks the classes that it is none of.
        fitTo(kind === "unknown" ? "–" : answer.confidence.toFixed(2), widths.confidence, "right"),
        fitTo(answer.distance.toFixed(3), widths.distance, "right"),
        fitTo(answer.limit.threshold?.toFixed(3) ?? "none", widths.limit, "right"),
        fitTo(ms.decode.toFixed(1), widths.ms, "right"),
        fitTo(ms.embed.toFixed(1), widths.ms, "right"),
        fitTo(ms.match.toFixed(1), widths.ms, "right"),
        nearest ? oneLine(nearest.origin) : "",
      ].join("  ");
    },
  };
}
