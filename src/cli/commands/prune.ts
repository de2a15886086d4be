import { type Command, Option } from "commander";
import type { PruneBundleOptions } from "../../compress/index.ts";
import { action, type Context, examples } from "../context.ts";
import { positiveInteger, positiveIntegerOrZero, positiveNumber, share } from "../parse.ts";
import {
  type CompareFlags,
  checkTarget,
  compareTable,
  findModel,
  machineNote,
  measure,
  readPictures,
  stages,
  withCompareOptions,
} from "../side-by-side.ts";
import { oneLine, percent } from "../text.ts";

interface PruneFlags extends CompareFlags {
  readonly data: string;
  readonly out: string;
  readonly share: number;
  readonly by: NonNullable<PruneBundleOptions["importance"]>;
  readonly multiple: number;
  readonly spread?: PruneBundleOptions["spread"];
  readonly pictures: number;
  readonly steps: number;
  readonly batch: number;
  readonly rate: number;
  /** False with --no-make-up. */
  readonly makeUp: boolean;
}

export function prune(program: Command): void {
  const command = program
    .command("prune")
    .description(
      "make a model quicker: take the channels out that matter least, and train the rest to make up for them",
    )
    .argument("<model>", "a name, or the path of a bundle")
    .requiredOption("--data <folder>", "pictures like those of the line, no labels needed")
    .requiredOption("--out <path>", "the new bundle: one file where it ends in .onnx, else a folder")
    .option("--share <share>", "of the channels that can go", share, 0.3)
    .addOption(
      new Option("--by <name>", "what tells which channels matter")
        .choices(["gradient", "norm"] satisfies PruneBundleOptions["importance"][])
        .default("gradient"),
    )
    .option("--multiple <n>", "what is left of a width is a multiple of this", positiveInteger, 8)
    .addOption(
      new Option(
        "--spread <how>",
        "the least important wherever they are, or the same share everywhere (default: global by gradient, even by norm)",
      ).choices(["global", "even"] satisfies PruneBundleOptions["spread"][]),
    )
    .option("--no-make-up", "do not let the kept channels take over from the lost ones")
    .option("--pictures <n>", "pictures that are taken of the folder at most", positiveInteger, 512)
    .option(
      "--steps <n>",
      "of fine-tuning towards the embeddings of the whole model; 0: none",
      positiveIntegerOrZero,
      200,
    )
    .option("--batch <n>", "pictures a step", positiveInteger, 8)
    .option("--rate <n>", "learning rate at the start", positiveNumber, 3e-5);
  withCompareOptions(command)
    .addHelpText(
      "after",
      `${examples(
        ["protoline prune mobilenet-v2 --data parts/ --out mobilenet-v2-pruned.onnx", "30 % of the channels"],
        ["protoline prune mobilenet-v2 --data parts/ --out m.onnx --evaluate parts/", "and what it costs"],
        ["protoline quantize m.onnx --calibrate parts/ --out m-int8.onnx", "both together"],
      )}\n\nChannels of the embedding stay, so that its size is the same. Embeddings of the new model are not to be mixed with\nthose of the old: enroll again.`,
    )
    .action(action<[string], PruneFlags>(run));
}

async function run(context: Context, [model]: [string], flags: PruneFlags): Promise<void> {
  await checkTarget(flags.out);
  const { pruneBundle } = await import("../../compress/index.ts");
  const { writeBundle } = await import("../../models/index.ts");
  const bundle = await findModel(model);
  const inputs = await readPictures(context, bundle, flags.data, flags.pictures);
  const { threads, provider } = context;
  const { steps, batch, rate } = flags;
  const bar = await stages(context);
  const pruned = await pruneBundle(bundle, inputs, {
    share: flags.share,
    multiple: flags.multiple,
    importance: flags.by,
    spread: flags.spread,
    makeUp: flags.makeUp,
    fineTune: steps === 0 ? null : { steps, batch, rate },
    seed: flags.seed,
    threads,
    provider,
    onProgress: bar.on,
  }).finally(bar.stop);
  await writeBundle(pruned.bundle, flags.out);
  const measured = await measure(context, [bundle, pruned.bundle], inputs, flags);
  const { layers, share: came, losses } = pruned;
  if (context.json)
    return context.print(JSON.stringify({ path: flags.out, share: came, layers, losses, measured }));
  context.print(compareTable(measured, context));
  const [most] = [...layers].sort((a, b) => b.before - b.after - (a.before - a.after));
  context.print(
    `${percent(came)} of the channels of ${layers.length} widths went, most of them at ${oneLine(most!.name)}: ${most!.before} → ${most!.after}`,
  );
  if (losses) context.print(`fine-tuning: loss ${losses[0].toFixed(4)} → ${losses[1].toFixed(4)}`);
  context.note(machineNote());
  context.note(`use it: protoline enroll parts/ --model ${flags.out}`);
}
