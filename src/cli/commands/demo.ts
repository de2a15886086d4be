import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { createRng, quote } from "../../core/index.ts";
import type { Recognizer } from "../../recognizer/index.ts";
import { action, type Context } from "../context.ts";
import type { Defect, PartKind } from "../demo/parts.ts";
import { expectedSentence } from "../expected-text.ts";
import { integer } from "../parse.ts";
import { chooseModel, openModel } from "../resources.ts";
import { percent, plural, seconds, table } from "../text.ts";

const shots = 10;
const framesEach = 12;

/** A class of the demo. */
interface Part {
  readonly label: string;
  readonly kind: PartKind;
  readonly defect?: Defect;
}
const whole = (kind: PartKind): Part => ({ label: kind, kind });

const firstParts = [whole("washer"), whole("gear"), whole("bracket")];
const newPart = whole("motor housing");
/** A flaw that nobody has shown is unknown; shown, it is one more class with a name. */
const flawed: Part = { label: "washer, cracked", kind: "washer", defect: "cracked" };
/** Never enrolled: what it is told must stay "unknown" to the end. */
const stranger = whole("bolt");

interface DemoFlags {
  readonly seed: number;
  readonly keep?: string;
}

export function demo(program: Command): void {
  program
    .command("demo")
    .description(
      "the whole thing in ten seconds, without a file of your own: enroll, recognize, unknown, a class added live",
    )
    .option("--seed <n>", "of the drawn pictures", integer, 1)
    .option(
      "--keep <folder>",
      "write the pictures to parts/ and frames/ in that folder, to go on with by hand",
    )
    .addHelpText(
      "after",
      "\nThe pictures are drawn by the demo itself (metal parts on a belt, each with another pose, light, wear and noise),\nthe gallery lives in memory, and without --keep no file is written.",
    )
    .action(action<[], DemoFlags>((context, _, flags) => run(context, flags)));
}

/** What became of the frames of one part. */
interface Tally {
  readonly label: string;
  readonly enrolled: number;
  readonly frames: number;
  recognized: number;
  wrong: number;
  ambiguous: number;
  unknown: number;
  /** Sum over the frames. */
  ms: number;
}

/** Where pictures go that are kept: `parts` are those that are enrolled. */
type Purpose = "parts" | "frames";
type Draw = (part: Part, n: number, purpose: Purpose) => Promise<Uint8Array[]>;

async function run(context: Context, { seed, keep }: DemoFlags): Promise<void> {
  const say = context.json ? () => {} : context.print;
  const { bold, dim } = context.paint;
  const began = performance.now();
  const { drawPart } = await import("../demo/parts.ts");
  const rng = createRng(seed);
  let drawn = 0;
  let msDrawing = 0;
  const draw: Draw = async ({ label, kind, defect }, n, purpose) => {
    const started = performance.now();
    const first = drawn;
    const pictures = await Promise.all(
      Array.from({ length: n }, () => drawPart(kind, rng.fork(drawn++), defect)),
    );
    msDrawing += performance.now() - started;
    if (keep !== undefined) await keepPictures(keep, purpose, label, first, pictures);
    return pictures;
  };

  const { model, why } = await chooseModel(context);
  const encoder = await openModel(context, model);
  const { galleryRates, Recognizer } = await import("../../recognizer/index.ts");
  const recognizer = await Recognizer.open({ model: encoder, store: "memory:", gallery: "demo" });
  try {
    say(
      `${bold("Protoline demo")}: the parts are drawn here; nothing is downloaded${keep === undefined ? " and no file is written" : ""}.`,
    );
    say(`model ${quote(model)}: ${why}\n`);

    const enroll = async (part: Part): Promise<number> => {
      const pictures = await draw(part, shots, "parts");
      const { ms } = await recognizer.enroll(part.label, pictures, { who: context.who });
      say(`  enrolled ${plural(shots, "picture")} of ${quote(part.label)} in ${seconds(ms.total)}`);
      return ms.total;
    };

    say(bold(`1. Show it ${shots} pictures of each of ${plural(firstParts.length, "part")}.`));
    const enrollMs: number[] = [];
    for (const part of firstParts) enrollMs.push(await enroll(part));

    say(`\n${bold("2. Recognize fresh frames; three of the parts were never shown.")}`);
    const before = await recognizeAll(
      recognizer,
      draw,
      [...firstParts, newPart, flawed, stranger],
      firstParts,
    );
    say(tallyTable(before, context));
    const rate = recognizer.decision.openSet.falseRejectRate;
    const expected = galleryRates(recognizer);
    say(
      dim(
        `  The limits state that about ${percent(rate, 0)} of the frames of known parts may be called unknown. The gallery's own`,
      ),
    );
    say(dim(`  pictures expect: ${expectedSentence(expected, rate)}`));
    const cracked = before.find(({ label }) => label === flawed.label)!;
    say(
      dim(
        `  A flaw counts, too: ${cracked.unknown} of ${cracked.frames} cracked washers are no washer that was shown, although nobody has shown a crack.`,
      ),
    );

    say(
      `\n${bold(`3. Make ${quote(newPart.label)} a class, live, and the flaw ${quote(flawed.label)} another: no training, no restart.`)}`,
    );
    const revisionBefore = recognizer.revision.number;
    for (const part of [newPart, flawed]) enrollMs.push(await enroll(part));
    const revisionAfter = recognizer.revision.number;
    const known = [...firstParts, newPart, flawed];
    const after = await recognizeAll(recognizer, draw, [...known, stranger], known);
    say(tallyTable(after, context));

    say(`\n${bold("4. Take it back, and forward again.")}`);
    const frames = await draw(newPart, framesEach, "frames");
    const at = async (revision: number): Promise<number> => {
      await recognizer.store.rollback("demo", revision, { who: context.who });
      await recognizer.refresh();
      let named = 0;
      for (const frame of frames) {
        const answer = await recognizer.recognize(frame);
        if (answer.kind === "known" && answer.label === newPart.label) named++;
      }
      say(
        `  as it was at revision ${revision}: ${named} of ${plural(frames.length, newPart.label)} recognized`,
      );
      return named;
    };
    const rolledBack = await at(revisionBefore);
    const rolledForward = await at(revisionAfter);

    const tallies = [...before, ...after];
    const asked = tallies.reduce((sum, tally) => sum + tally.frames, 0);
    const msEach = tallies.reduce((sum, { ms }) => sum + ms, 0) / asked;
    const total = performance.now() - began;
    if (context.json)
      context.print(
        JSON.stringify({
          model,
          seed,
          before,
          expected,
          after,
          rolledBack,
          rolledForward,
          enrollMs,
          msEach,
          msDrawing,
          ms: total,
        }),
      );
    say(
      `\n${plural(asked, "frame")} at ${msEach.toFixed(1)} ms each; a class of ${shots} pictures enrolled in ${seconds(Math.max(...enrollMs))} at most;\n${seconds(total)} in all, ${seconds(msDrawing)} of it to draw the pictures.`,
    );
    if (keep !== undefined)
      say(
        `\n${bold("The pictures")} are in ${quote(keep, 200)}; by hand:\n  npx protoline enroll ${join(keep, "parts")}\n  npx protoline recognize ${join(keep, "frames")}`,
      );
    say(
      `\n${bold("Now your own parts")}: a folder for each part, ten pictures in it, then\n  npx protoline enroll parts/\n  npx protoline recognize frames/\n${dim("  npx protoline tune    # when it knows a few classes: fit the decision to your pictures")}`,
    );
  } finally {
    await recognizer.close();
    await encoder.close();
  }
}

/** `parts` as a folder for each class, which is what `enroll` takes; `frames` in one folder, as a line delivers them. */
async function keepPictures(
  folder: string,
  purpose: Purpose,
  label: string,
  first: number,
  pictures: readonly Uint8Array[],
): Promise<void> {
  const target = purpose === "parts" ? join(folder, purpose, label) : join(folder, purpose);
  await mkdir(target, { recursive: true });
  for (const [i, bytes] of pictures.entries()) {
    const number = String(first + i).padStart(3, "0");
    await writeFile(join(target, purpose === "parts" ? `${number}.jpg` : `${label} ${number}.jpg`), bytes);
  }
}

async function recognizeAll(
  recognizer: Recognizer,
  draw: Draw,
  parts: readonly Part[],
  enrolled: readonly Part[],
): Promise<Tally[]> {
  const tallies: Tally[] = [];
  for (const part of parts) {
    const tally: Tally = {
      label: part.label,
      enrolled: enrolled.includes(part) ? shots : 0,
      frames: framesEach,
      recognized: 0,
      wrong: 0,
      ambiguous: 0,
      unknown: 0,
      ms: 0,
    };
    for (const frame of await draw(part, framesEach, "frames")) {
      const answer = await recognizer.recognize(frame);
      tally.ms += answer.ms.total;
      if (answer.kind !== "known") tally[answer.kind]++;
      else if (answer.label === part.label) tally.recognized++;
      else tally.wrong++;
    }
    tallies.push(tally);
  }
  return tallies;
}

function tallyTable(tallies: readonly Tally[], { paint }: Context): string {
  const rows = tallies.map(({ label, enrolled, frames, recognized, wrong, ambiguous, unknown, ms }) => [
    label,
    enrolled > 0 ? String(enrolled) : "never shown",
    frames,
    recognized,
    unknown,
    ambiguous,
    wrong,
    (ms / frames).toFixed(1),
  ]);
  const head = ["class", "enrolled", "frames", "recognized", "unknown", "ambiguous", "wrong", "mean ms"];
  return table(head, rows, paint).replace(/^/gm, "  ");
}
