import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, extname } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { ProtolineError, quote } from "../../core/index.ts";
import type { Preprocess } from "../../data/index.ts";
import type { Bundle, ImportOptions } from "../../models/index.ts";
import type { GalleryStore } from "../../store/index.ts";
import { action, type Context, examples } from "../context.ts";
import { decisionText } from "../decision-text.ts";
import { kindOf, sources, storeFile, withStore } from "../resources.ts";
import { bytesText, oneLine, table } from "../text.ts";

export function models(program: Command): void {
  const group = program
    .command("models")
    .description("the models that turn pictures into numbers: what there is, and what is on this machine");

  group
    .command("list")
    .description("all models by name")
    .action(
      action(async (context) => {
        const { listModels } = await import("../../models/index.ts");
        const listed = await listModels(await sources(context));
        if (context.json) return context.print(JSON.stringify(listed));
        context.print(
          table(
            ["model", "here", "size", "numbers", "licence", "what"],
            listed.map(({ name, place, bytes, embeddingDim, license, description }) => [
              name,
              place ?? "no: models pull",
              bytesText(bytes),
              embeddingDim,
              license,
              oneLine(description),
            ]),
            context.paint,
          ),
        );
      }),
    );

  group
    .command("pull")
    .description(
      "fetch a model into the cache: from PROTOLINE_MIRROR (folder or URL), else from its own address",
    )
    .argument("<names...>", "names from models list")
    .addHelpText(
      "after",
      examples(["protoline models pull mobilenet-v1", "goes on where a broken download stopped"]),
    )
    .action(action<[string[]], object>((context, [names]) => pull(context, names)));

  group
    .command("import")
    .description("make any ONNX image encoder, or a bundle, a model of this machine")
    .argument("<path>", "an .onnx file, or a bundle")
    .option("--name <name>", "lower-case letters, digits and dashes (default: from the file's name)")
    .option("--output <name>", "the output that is the embedding, where there are several")
    .addOption(
      new Option("--pooling <kind>", "for an output with height and width (default: mean)").choices([
        "none",
        "mean",
        "meanStd",
      ]),
    )
    .option("--mean <values>", "subtracted from a 0 … 255 pixel, one a channel, as 128,128,128", numbers)
    .option("--std <values>", "divides after that, one a channel", numbers)
    .addOption(
      new Option("--channels <order>", "what the model was trained with").choices(["rgb", "bgr", "gray"]),
    )
    .addOption(new Option("--fit <how>", "how a picture becomes square").choices(["stretch", "crop", "fit"]))
    .option("--size <height,width>", "of the input, where the model leaves it open", size)
    .option("--license <name>", "of the weights, for the record")
    .option("--origin <text>", "where it comes from, for the record")
    .addHelpText(
      "after",
      `${examples([
        "protoline models import backbone.onnx --name our-parts --mean 128,128,128 --std 128,128,128",
        "then: enroll --model our-parts",
      ])}\n\nWithout --mean and --std, those of ImageNet are taken. A wrong mean is no error, only worse answers: take them from\nthe model's own description.`,
    )
    .action(action<[string], ImportFlags>(importOne));

  group
    .command("info")
    .description("what is known of a model: input, output, preprocessing, hashes, origin, operators")
    .argument("<model>", "a name, or the path of a bundle")
    .action(action<[string], object>((context, [model]) => info(context, model)));

  group
    .command("remove")
    .description("delete imported and learned models that no gallery of the store has, in no revision")
    .argument("<names...>", "names from models list")
    .addHelpText(
      "after",
      examples([
        "protoline models remove compact-learned-3f9a0c21b7de",
        "an encoder that was learned and not promoted",
      ]),
    )
    .action(action<[string[]], object>((context, [names]) => remove(context, names)));
}

async function remove(context: Context, names: readonly string[]): Promise<void> {
  const { findBundle } = await import("../../models/index.ts");
  const found = await sources(context);
  const paths = new Map<string, string>();
  for (const name of names) {
    const { place, path } = await findBundle(name, found);
    if (path === null || (place !== "imported" && place !== "learned"))
      throw new ProtolineError("INVALID_ARGUMENT", {
        expected: "an imported or a learned model",
        got: `${quote(name)}, which is of another kind`,
        todo: "Run `protoline models list` to see which is which.",
      });
    paths.set(name, path);
  }
  const file = storeFile(context.store);
  if (file === null || existsSync(file))
    await withStore(context, "existing", async (store) => {
      const users = await usersOf(store);
      for (const name of names)
        if (users.has(name))
          throw new ProtolineError("INVALID_ARGUMENT", {
            expected: "models that no revision of a gallery has",
            got: `${quote(name)}, which gallery ${quote(users.get(name)!)} has or had`,
            todo: "Keep it: the gallery, or a rollback of it, needs the model.",
          });
    });
  for (const path of paths.values()) await rm(path, { recursive: true });
  if (context.json) context.print(JSON.stringify([...paths].map(([name, path]) => ({ name, path }))));
  else for (const [name, path] of paths) context.print(`${name}: removed from ${quote(path, 300)}`);
}

/** Of each model that a revision has the gallery of it, or one of them. */
async function usersOf(store: GalleryStore): Promise<ReadonlyMap<string, string>> {
  const users = new Map<string, string>();
  for (const { name, model } of await store.galleries()) {
    users.set(model, name);
    const [newest, ...older] = await store.history(name);
    let after = newest!;
    for (const before of older) {
      if ((await store.diff(name, before.number, after.number)).modelChanged)
        users.set((await store.snapshot(name, before.number)).model, name);
      after = before;
    }
  }
  return users;
}

function numbers(text: string): number[] {
  const values = text.split(",").map(Number);
  if (text.trim() === "" || values.some((value) => !Number.isFinite(value)))
    throw new InvalidArgumentError("It must be numbers joined by commas, as 128,128,128.");
  return values;
}

function size(text: string): [number, number] {
  const [height, width, ...rest] = numbers(text);
  if (rest.length > 0 || !Number.isInteger(height) || !Number.isInteger(width) || height! < 1 || width! < 1)
    throw new InvalidArgumentError("It must be height,width in pixels, as 224,224.");
  return [height!, width!];
}

async function pull(context: Context, names: readonly string[]): Promise<void> {
  const { pullModel } = await import("../../models/index.ts");
  const results: { name: string; path: string; bytes: number; downloaded: boolean }[] = [];
  for (const name of names) {
    const progress = await context.progress(`pull ${name} (KiB)`, 1);
    const pulled = await pullModel(name, {
      sources: await sources(),
      onProgress: (received, total) =>
        progress.update(Math.round(received / 1024), "", Math.round(total / 1024)),
    }).finally(() => progress.stop());
    results.push({ name, ...pulled });
    if (!context.json)
      context.print(
        `${name}: ${pulled.downloaded ? "fetched" : "there already"}, ${bytesText(pulled.bytes)} in ${quote(pulled.path, 300)}`,
      );
  }
  if (context.json) context.print(JSON.stringify(results));
}

interface ImportFlags extends Pick<ImportOptions, "output" | "pooling" | "license" | "origin"> {
  readonly name?: string;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly channels?: Preprocess["channels"];
  readonly fit?: Preprocess["fit"];
  readonly size?: readonly [number, number];
}

async function importOne(context: Context, [path]: [string], flags: ImportFlags): Promise<void> {
  const bundle =
    (await kindOf(path)) === "folder" ? await readFolder(path, flags) : await fromFile(context, path, flags);
  const { importedPath, isBuiltIn, modelHash, writeBundle, zooRow } = await import("../../models/index.ts");
  const { name } = bundle.manifest;
  const target = importedPath(name, await sources());
  if (target === null || isBuiltIn(name) || zooRow(name))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a name of lower-case letters, digits and dashes that is no model's of models list",
      got: quote(name),
      todo: "Give another one with --name.",
    });
  await writeBundle(bundle, target);
  const { embeddingDim } = bundle.manifest;
  const hash = modelHash(bundle.manifest);
  if (context.json) context.print(JSON.stringify({ name, path: target, modelHash: hash, embeddingDim }));
  else {
    context.print(`model ${quote(name)} is in ${quote(target, 300)}: ${embeddingDim} numbers a picture`);
    context.note(`use it: protoline enroll parts/ --model ${name}`);
  }
}

async function readFolder(path: string, { name }: ImportFlags): Promise<Bundle> {
  const { readBundle } = await import("../../models/index.ts");
  const bundle = await readBundle(path);
  return name === undefined ? bundle : { ...bundle, manifest: { ...bundle.manifest, name } };
}

async function fromFile({ threads, provider }: Context, path: string, flags: ImportFlags): Promise<Bundle> {
  const { importModel } = await import("../../models/index.ts");
  const { name, mean, std, channels, fit, size: dims, ...rest } = flags;
  const fromPath = basename(path, extname(path))
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  return importModel(path, {
    ...rest,
    name: name ?? fromPath,
    threads,
    provider,
    preprocess: {
      ...(mean && { mean }),
      ...(std && { std }),
      ...(channels && { channels }),
      ...(fit && { fit }),
      ...(dims && { size: dims }),
    },
  });
}

async function info(context: Context, model: string): Promise<void> {
  const { json, print } = context;
  const { modelInfo } = await import("../../models/index.ts");
  const found = await modelInfo(model, await sources(context));
  if (json) return print(JSON.stringify(found));
  const { manifest, modelHash, place, path, summary } = found;
  const { preprocess, provenance } = manifest;
  const rows: [string, string][] = [
    ["model", `${manifest.name} ${manifest.version}`],
    [
      "here",
      place === null
        ? `no; protoline models pull ${manifest.name}`
        : path === null
          ? place
          : `${place}, ${path}`,
    ],
    ["size", bytesText(manifest.model.bytes)],
    ["SHA-256", manifest.model.sha256],
    ["model hash", modelHash],
    [
      "input",
      `${preprocess.channels} ${preprocess.size.join(" × ")}, ${preprocess.fit}, ${preprocess.interpolation}`,
    ],
    ["pixels", `(x − ${preprocess.mean.join(", ")}) / ${preprocess.std.join(", ")}`],
    ["output", `${manifest.output}, ${manifest.embeddingDim} numbers, pooling ${manifest.pooling}`],
    ["decision", decisionText(manifest.decision)],
    ["licence", provenance.license],
    ["trained on", provenance.trainedOn],
    ["origin", provenance.origin],
    ...(manifest.learned
      ? ([
          [
            "learned",
            `from ${manifest.learned.from.name} on gallery ${quote(manifest.learned.gallery)}, revision ${manifest.learned.revision}, ${manifest.learned.steps} steps, seed ${manifest.learned.seed}`,
          ],
        ] as [string, string][])
      : []),
    ...(summary
      ? ([
          ["weights", `${(summary.parameters / 1e6).toFixed(2)} million`],
          ["operators", summary.operators.map(({ op, count }) => `${op} ${count}`).join(", ")],
        ] as [string, string][])
      : []),
  ];
  for (const [name, text] of rows) print(`${name.padEnd(11)} ${oneLine(text)}`);
}
