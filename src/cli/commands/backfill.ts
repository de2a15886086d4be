import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { ProtolineError, quote } from "../../core/index.ts";
import type { Executor, FileAnswer, Piece } from "../../jobs/index.ts";
import { action, type Context, examples } from "../context.ts";
import { partlyDone } from "../exit.ts";
import { positiveInteger } from "../parse.ts";
import { withRecognizer } from "../resources.ts";
import { oneLine, percent, plural, seconds, table } from "../text.ts";

interface BackfillFlags {
  readonly out: string;
  readonly piece: number;
  readonly queue?: string;
  readonly queuePrefix?: string;
  readonly truth?: boolean;
}

export function backfill(program: Command): void {
  program
    .command("backfill")
    .description(
      "recognize all pictures of a large folder; it goes on where it was stopped, and many machines can help",
    )
    .argument("<folder>", "pictures, in folders or not")
    .requiredOption("--out <folder>", "for results.jsonl, and for what is done so far")
    .option("--piece <n>", "pictures that are done, and done again, together", positiveInteger, 64)
    .option(
      "--queue <url>",
      "redis://HOST:PORT: let workers do it (protoline work), on this machine or others",
    )
    .option("--queue-prefix <text>", "before the queue's keys (default: protoline-jobs)")
    .option("--truth", "the folders are named as the classes: count what is right")
    .addHelpText(
      "after",
      `${examples(
        ["protoline backfill archive/ --out done/", "in this process"],
        [
          "protoline backfill archive/ --out done/ --queue redis://host:6379",
          "by workers, see protoline work --help",
        ],
        ["protoline backfill test/ --out done/ --truth", "accuracy on a folder of any size"],
      )}\n\nA piece is named by its files, their sizes and times of change, the gallery's revision and the model: started again, the\ncommand does what is new or changed alone. Exit code ${partlyDone} when pieces failed or pictures could not be read.`,
    )
    .action(action<[string], BackfillFlags>(run));
}

async function run(context: Context, [folder]: [string], flags: BackfillFlags): Promise<number> {
  const { listImages } = await import("../../data/index.ts");
  const jobs = await import("../../jobs/index.ts");
  const { images, skipped } = await listImages(folder);
  for (const { path, reason } of skipped) context.note(`skipped ${quote(path, 200)}: ${reason}`);
  if (images.length === 0)
    throw new ProtolineError("FOLDER_EMPTY", {
      expected: `pictures in ${quote(folder, 200)}`,
      got: "none",
      todo: "Correct the path.",
    });
  return withRecognizer(context, "existing", async (recognizer) => {
    const { number: revision } = recognizer.revision;
    const { modelHash } = recognizer.encoder;
    const pieces = await jobs.recognizePieces(images, {
      gallery: context.gallery,
      revision,
      modelHash,
      size: flags.piece,
    });
    const executor: Executor =
      flags.queue === undefined
        ? jobs.localExecutor(
            jobs.workOf({
              store: recognizer.store,
              recognizers: async () => recognizer,
              encoders: async () => recognizer.encoder,
            }),
          )
        : await jobs.queueExecutor({
            url: flags.queue,
            ...(flags.queuePrefix && { prefix: flags.queuePrefix }),
          });
    const started = performance.now();
    const progress = await context.progress("pieces", pieces.length);
    const done = join(flags.out, "pieces");
    const report = await jobs
      .runJob({
        pieces,
        executor,
        folder: done,
        onProgress: ({ done: n, kept }) => progress.update(n, kept > 0 ? `${kept} were there` : ""),
      })
      .finally(async () => {
        progress.stop();
        await executor.close();
      });
    for (const { id, reason } of report.failed) context.warn(`piece ${id} failed: ${oneLine(reason)}`);
    const tally = await gather(join(flags.out, "results.jsonl"), done, pieces, jobs.results);
    const ms = performance.now() - started;
    if (context.json)
      context.print(
        JSON.stringify({
          revision,
          ...report,
          ...tally.counts,
          ...(flags.truth && { classes: tally.classes() }),
        }),
      );
    else print(context, flags, tally, report.kept, pieces.length, ms);
    return report.failed.length > 0 || tally.counts.errors > 0 ? partlyDone : 0;
  });
}

interface Truth {
  readonly label: string;
  frames: number;
  right: number;
  wrong: number;
  /** Unknown or ambiguous. */
  open: number;
}

interface Tally {
  readonly counts: { pictures: number; known: number; unknown: number; ambiguous: number; errors: number };
  classes(): readonly Truth[];
}

/** All answers as JSON Lines in the order of the files, counted on the way; memory does not grow with them. */
async function gather(
  path: string,
  folder: string,
  pieces: readonly Piece[],
  results: (folder: string, pieces: readonly Piece[]) => AsyncIterable<unknown>,
): Promise<Tally> {
  const counts = { pictures: 0, known: 0, unknown: 0, ambiguous: 0, errors: 0 };
  const byClass = new Map<string, Truth>();
  async function* lines(): AsyncGenerator<string> {
    for await (const answers of results(folder, pieces) as AsyncIterable<readonly FileAnswer[]>)
      for (const answer of answers) {
        counts.pictures++;
        if ("error" in answer) counts.errors++;
        else {
          counts[answer.kind]++;
          const label = answer.file.split(/[\\/]/).at(-2) ?? "";
          const truth = byClass.get(label) ?? { label, frames: 0, right: 0, wrong: 0, open: 0 };
          byClass.set(label, truth);
          truth.frames++;
          if (answer.kind !== "known") truth.open++;
          else if (answer.label === label) truth.right++;
          else truth.wrong++;
        }
        yield `${JSON.stringify(answer)}\n`;
      }
  }
  await pipeline(Readable.from(lines()), createWriteStream(path));
  return { counts, classes: () => [...byClass.values()].sort((a, b) => a.label.localeCompare(b.label)) };
}

function print(
  { print: say, paint }: Context,
  { out, truth }: BackfillFlags,
  { counts, classes }: Tally,
  kept: number,
  pieces: number,
  ms: number,
): void {
  if (truth) {
    const all = classes();
    say(
      table(
        ["class", "pictures", "right", "wrong", "unknown or ambiguous"],
        all.map(({ label, frames, right, wrong, open }) => [oneLine(label), frames, right, wrong, open]),
        paint,
      ),
    );
    const right = all.reduce((sum, one) => sum + one.right, 0);
    say(`right: ${percent(right / Math.max(1, counts.pictures - counts.errors))}`);
  }
  say(
    `${plural(counts.pictures, "picture")} in ${join(out, "results.jsonl")}: ${counts.known} known, ${counts.unknown} unknown, ${counts.ambiguous} ambiguous, ${counts.errors} not read; ${kept} of ${plural(pieces, "piece")} were there before; ${seconds(ms)}`,
  );
}
