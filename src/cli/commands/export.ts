import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Command } from "commander";
import { ProtolineError, quote } from "../../core/index.ts";
import { action, type Context, examples } from "../context.ts";
import { checkTarget, findModel } from "../side-by-side.ts";
import { bytesText } from "../text.ts";

interface ExportFlags {
  readonly out: string;
  readonly plain?: boolean;
}

export function exportModel(program: Command): void {
  program
    .command("export")
    .description("write a model as a file for other programs, or as a bundle to carry elsewhere")
    .argument("<model>", "a name, or the path of a bundle")
    .requiredOption(
      "--out <path>",
      "one file where it ends in .onnx, else a folder with model.onnx and manifest.json",
    )
    .option("--plain", "the ONNX file alone, without preprocessing and decision in its metadata")
    .addHelpText(
      "after",
      `${examples(
        [
          "protoline export mobilenet-v1 --out mobilenet-v1.onnx",
          "one file, that also knows its preprocessing",
        ],
        ["protoline export mobilenet-v1 --out bundle", "a folder; enroll --model bundle takes it"],
        [
          "protoline export mobilenet-v1 --out plain.onnx --plain",
          "for a program that brings its own preprocessing",
        ],
      )}\n\nAny ONNX runtime opens these files. The metadata entry protoline.manifest is JSON: preprocess says how pixels become\nthe input, output and pooling which output is the embedding.`,
    )
    .action(action<[string], ExportFlags>(run));
}

async function run(
  { json, print, note }: Context,
  [model]: [string],
  { out, plain }: ExportFlags,
): Promise<void> {
  await checkTarget(out);
  const bundle = await findModel(model);
  if (plain) {
    if (!out.endsWith(".onnx"))
      throw new ProtolineError("INVALID_ARGUMENT", {
        expected: "a name ending in .onnx for a plain file",
        got: quote(out, 200),
        todo: "Name a file, or leave out --plain.",
      });
    await mkdir(dirname(out), { recursive: true });
    await writeFile(out, bundle.model);
  } else {
    const { writeBundle } = await import("../../models/index.ts");
    await writeBundle(bundle, out);
  }
  const { input, output, embeddingDim, preprocess } = bundle.manifest;
  const bytes = bundle.model.length;
  if (json) return print(JSON.stringify({ path: out, bytes, input, output, embeddingDim, preprocess }));
  print(
    `${quote(out, 200)}: ${bytesText(bytes)}, input ${quote(input)}, output ${quote(output)}, ${embeddingDim} numbers`,
  );
  if (plain)
    note(
      `pixels: ${preprocess.channels} ${preprocess.size.join(" × ")}, (x − ${preprocess.mean.join(", ")}) / ${preprocess.std.join(", ")}`,
    );
}
