import { type Command, InvalidArgumentError } from "commander";
import { ProtolineError, quote } from "../../core/index.ts";
import type { Onboarding, Rate, ReplaySummary } from "../../line/index.ts";
import { action, type Context, examples } from "../context.ts";
import { integer, positiveInteger, positiveIntegerOrZero, positiveNumber, share } from "../parse.ts";
import { chooseModel, sources } from "../resources.ts";
import { oneLine, percent, plural, seconds, table } from "../text.ts";

/** One for the line, one for what is enrolled beside it. */
const workers = 2;

interface ReplayFlags {
  readonly known: number | readonly string[];
  readonly shots: number;
  readonly frames: number;
  readonly every: number;
  readonly confirm: number;
  readonly rate?: number;
  readonly dimFrom?: number;
  readonly dimTo: number;
  readonly seed: number;
}

export function replay(program: Command): void {
  program
    .command("replay")
    .description("run a folder of pictures as if it were a line, new parts appearing on the way")
    .argument("<folder>", "holds a folder for each class, which is the truth")
    .option(
      "--known <classes>",
      "known from the beginning: how many, or their names joined by commas",
      knownClasses,
      3,
    )
    .option("--shots <n>", "pictures that each of them is enrolled by", positiveInteger, 10)
    .option("--frames <n>", "at most; the line ends earlier where the pictures do", positiveInteger, 1000)
    .option("--every <n>", "frames from one new class to the next", positiveInteger, 100)
    .option(
      "--confirm <n>",
      "frames of one class in the tray that are assigned at a time",
      positiveInteger,
      10,
    )
    .option("--rate <n>", "frames a second (default: as fast as they are answered)", positiveNumber)
    .option("--dim-from <frame>", "from that frame on the light goes down", positiveIntegerOrZero)
    .option("--dim-to <share>", "to this share of itself at the end", share, 0.5)
    .option("--seed <n>", "equal seeds give equal lines", integer, 1)
    .addHelpText(
      "after",
      `${examples(
        ["protoline replay data/", "three classes are known, the others come one after another"],
        ["protoline replay data/ --known gear,washer --every 200", "these two are known"],
        ["protoline replay data/ --dim-from 400 --dim-to 0.6", "and the lamp grows old"],
        ["protoline replay data/ --json", "one object for a script"],
      )}\n\nFrames that are not known go to a tray. A reviewer who never errs waits for --confirm of one class and assigns them,\nwhich makes the class or adds to it, while the line goes on. The gallery lives in memory. Intervals hold the true rate\nin about 95 of 100 cases.`,
    )
    .action(action<[string], ReplayFlags>(run));
}

function knownClasses(text: string): number | readonly string[] {
  if (/^\d+$/.test(text)) return positiveInteger(text);
  const names = text.split(",").map((name) => name.trim());
  if (names.some((name) => name === "") || new Set(names).size < names.length)
    throw new InvalidArgumentError("It must be a number, or names joined by commas, each once.");
  return names;
}

async function run(context: Context, [folder]: [string], flags: ReplayFlags): Promise<void> {
  const { listClasses } = await import("../../data/index.ts");
  const line = await import("../../line/index.ts");
  const { classes, empty, skipped } = await listClasses(folder);
  for (const { path, reason } of skipped) context.note(`skipped ${quote(path, 200)}: ${reason}`);
  for (const label of empty)
    context.warn(`class ${quote(label)} has no images and is left out [CLASS_EMPTY]`);
  const plan = line.planReplay({ ...flags, classes });
  if (flags.dimFrom !== undefined && flags.dimFrom >= plan.frames.length)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: `--dim-from below the ${plan.frames.length} frames of this line`,
      got: String(flags.dimFrom),
      todo: "Let the light go down earlier.",
    });

  const { model, why } = await chooseModel(context);
  if (!context.model) context.note(`model ${quote(model)}: ${why}`);
  // As in a server: pictures that are enrolled hold up no frame, as ONNX Runtime computes on the thread that asks.
  const { openPool } = await import("../../serving/index.ts");
  const { threads, provider } = context;
  const encoder = await openPool(model, { sources: await sources(context), threads, provider, workers });
  const { Recognizer } = await import("../../recognizer/index.ts");
  const recognizer = await Recognizer.open({ model: encoder, store: "memory:", gallery: "replay" });
  try {
    const progress = await context.progress("frames", plan.frames.length);
    const started = performance.now();
    const result = await line
      .replay({
        plan,
        target: {
          recognize: (image) => recognizer.recognize(image),
          enroll: async (label, images) => {
            const { rejected } = await recognizer.enroll(label, images, { who: "replay" });
            for (const { origin, message, code } of rejected)
              context.warn(`${origin} of ${quote(label)} was not enrolled: ${message} [${code}]`);
          },
        },
        confirm: flags.confirm,
        ...(flags.rate && { rate: flags.rate }),
        ...(flags.dimFrom !== undefined && { dim: { from: flags.dimFrom, to: flags.dimTo } }),
        onFrame: ({ frame }) => progress.update(frame + 1),
      })
      .finally(() => progress.stop());
    const summary = line.summarizeReplay(result, plan);
    if (context.json)
      return context.print(
        JSON.stringify({ model, seed: flags.seed, ...summary, onboarded: result.onboarded }),
      );
    print(context, summary, result.onboarded, performance.now() - started);
  } finally {
    await recognizer.close();
    await encoder.close();
  }
}

const withInterval = ({ share: value, interval }: Rate): string =>
  value === null ? "–" : `${percent(value)} (${percent(interval[0], 0)} to ${percent(interval[1], 0)})`;
const plain = ({ hits, of }: Rate): string => (of === 0 ? "–" : `${hits} of ${of}`);

function print(
  { print: say, paint }: Context,
  {
    frames,
    classes,
    phases,
    recognized,
    wrong,
    falseUnknown,
    caught,
    latency,
    latencyOnboarding,
  }: ReplaySummary,
  onboarded: readonly Onboarding[],
  ms: number,
): void {
  say(
    table(
      [
        "class",
        "appears",
        "known at",
        "frames until known",
        "of them caught",
        "then recognized",
        "wrong",
        "false unknown",
      ],
      classes.map((one) => [
        oneLine(one.label),
        one.appeared,
        one.known === null ? "never" : String(one.known),
        one.framesUntilKnown,
        plain(one.caught),
        plain(one.recognized),
        plain(one.wrong),
        plain(one.falseUnknown),
      ]),
      paint,
    ),
  );
  say("");
  say(
    table(
      ["frames", "right answers"],
      phases.map(({ from, to, right }) => [`${from} to ${to - 1}`, withInterval(right)]),
      paint,
    ),
  );
  const added = onboarded.reduce((sum, { pictures }) => sum + pictures, 0);
  const slowest = Math.max(0, ...onboarded.map((one) => one.ms));
  say(`
known parts       recognized ${withInterval(recognized)}, wrong ${withInterval(wrong)}, called unknown ${withInterval(falseUnknown)}
parts not known   caught ${withInterval(caught)}
tray              ${plural(onboarded.length, "assignment")} of ${plural(added, "picture")}, live after ${seconds(slowest)} at most
latency           p50 ${latency.p50.toFixed(1)}, p95 ${latency.p95.toFixed(1)}, p99 ${latency.p99.toFixed(1)} ms; ${
    latencyOnboarding.frames > 0
      ? `while pictures were enrolled ${latencyOnboarding.p50.toFixed(1)}, ${latencyOnboarding.p95.toFixed(1)}, ${latencyOnboarding.p99.toFixed(1)} ms`
      : "no frame came while pictures were enrolled"
  }
${plural(frames, "frame")} in ${seconds(ms)}`);
}
