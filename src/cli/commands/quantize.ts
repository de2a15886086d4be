import { type Command, Option } from "commander";
import type { CalibrationMethod } from "../../compress/index.ts";
import { ProtolineError, quote } from "../../core/index.ts";
import { action, type Context, examples } from "../context.ts";
import { positiveInteger, positiveIntegerOrZero } from "../parse.ts";
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

interface QuantizeFlags extends CompareFlags {
  readonly calibrate?: string;
  readonly out: string;
  readonly method: CalibrationMethod;
  readonly float16?: boolean;
  readonly pictures: number;
  readonly weightBits: "7" | "8";
  readonly keepFloat?: readonly string[];
  readonly keepWorst?: number;
}

export function quantize(program: Command): void {
  const command = program
    .command("quantize")
    .description("make a model smaller: 8-bit whole numbers, calibrated on pictures, or float16 weights")
    .argument("<model>", "a name, or the path of a bundle")
    .requiredOption("--out <path>", "the new bundle: one file where it ends in .onnx, else a folder")
    .option(
      "--calibrate <folder>",
      "pictures like those of the line, no labels needed; some hundred are enough",
    )
    .addOption(
      new Option(
        "--method <name>",
        "how far each activation reaches: all that was seen, nearly all, or least loss",
      )
        .choices(["minmax", "percentile", "entropy"] satisfies CalibrationMethod[])
        .default("percentile"),
    )
    .option("--float16", "half-precision weights instead: half the size, no calibration")
    .option("--pictures <n>", "pictures that are taken of the folder at most", positiveInteger, 128)
    .addOption(
      new Option("--weight-bits <n>", "8 is finer, and overflows on processors without VNNI")
        .choices(["7", "8"])
        .default("7"),
    )
    .option("--keep-float <names>", "nodes that stay in floating point, joined by commas", (text) =>
      text.split(","),
    )
    .option(
      "--keep-worst <n>",
      "so many more, those that lose most by themselves (default: one in sixteen; 0: none)",
      positiveIntegerOrZero,
    );
  withCompareOptions(command)
    .addHelpText(
      "after",
      `${examples(
        [
          "protoline quantize mobilenet-v1 --calibrate parts/ --out mobilenet-v1-int8.onnx",
          "a quarter of the size",
        ],
        [
          "protoline quantize mobilenet-v1 --calibrate parts/ --out m.onnx --evaluate parts/",
          "and what it costs",
        ],
        [
          "protoline quantize mobilenet-v1 --float16 --out mobilenet-v1-fp16.onnx",
          "half the size, same answers",
        ],
        ["protoline enroll parts/ --model mobilenet-v1-int8.onnx", "what came out, at work"],
      )}\n\nEmbeddings of the new model are not to be mixed with those of the old: enroll again.`,
    )
    .action(action<[string], QuantizeFlags>(run));
}

/** Below this likeness a model that was embedding well is another one. */
const doubtful = 0.95;

async function run(context: Context, [model]: [string], flags: QuantizeFlags): Promise<void> {
  if (flags.float16 && flags.calibrate === undefined && flags.evaluate === undefined)
    return halve(context, model, flags);
  const folder = flags.calibrate ?? flags.evaluate;
  if (folder === undefined || (!flags.float16 && flags.calibrate === undefined))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "pictures to calibrate with, or --float16",
      got: "neither",
      todo: "Name a folder with --calibrate; your own parts without labels will do.",
    });
  await checkTarget(flags.out);
  const { halveBundle, quantizeBundle } = await import("../../compress/index.ts");
  const { writeBundle } = await import("../../models/index.ts");
  const bundle = await findModel(model);
  const inputs = await readPictures(context, bundle, folder, flags.pictures);
  const { threads, provider } = context;
  const inInt8 = async () => {
    const bar = await stages(context);
    return quantizeBundle(bundle, inputs, {
      method: flags.method,
      weightBits: flags.weightBits === "7" ? 7 : 8,
      keepFloat: flags.keepFloat ?? [],
      ...(flags.keepWorst !== undefined && { keepWorst: flags.keepWorst }),
      threads,
      provider,
      onProgress: bar.on,
    }).finally(bar.stop);
  };
  const made = flags.float16 ? { bundle: halveBundle(bundle) } : await inInt8();
  await writeBundle(made.bundle, flags.out);
  const measured = await measure(context, [bundle, made.bundle], inputs, flags);
  if (context.json) {
    const { bundle: _, ...rest } = made;
    return context.print(JSON.stringify({ path: flags.out, ...rest, measured }));
  }
  context.print(compareTable(measured, context));
  if ("quantized" in made) {
    context.print(`${made.quantized} of ${made.quantizable} nodes with weights are in 8 bits`);
    for (const { node, op, loss } of (made.sensitivity ?? []).filter((one) =>
      made.floating.includes(one.node),
    ))
      context.print(
        `  in floating point: ${op} ${quote(node)}, which alone would move the embedding by ${loss.toExponential(1)}`,
      );
  }
  context.note(machineNote());
  const [was, is] = measured;
  if (is!.bytes >= was!.bytes)
    context.warn(`${quote(model)} became no smaller: it has few weights, and is better left as it is`);
  else if (is!.likeness < doubtful)
    context.warn(
      `the embeddings moved (likeness ${is!.likeness.toFixed(3)}): leave more nodes in floating point (--keep-worst), or look with --evaluate whether it matters`,
    );
  context.note(`use it: protoline enroll parts/ --model ${flags.out}`);
}

/** Without any picture there is nothing to time either. */
async function halve(context: Context, model: string, { out }: QuantizeFlags): Promise<void> {
  await checkTarget(out);
  const { halveBundle } = await import("../../compress/index.ts");
  const { writeBundle } = await import("../../models/index.ts");
  const before = await findModel(model);
  const bundle = halveBundle(before);
  await writeBundle(bundle, out);
  const [was, is] = [before.model.length, bundle.model.length];
  if (context.json) return context.print(JSON.stringify({ path: out, bytes: is, before: was }));
  context.print(`${quote(out, 200)}: ${is} bytes, ${(is / was).toFixed(2)} × of ${was}`);
}
