import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { isProtolineError, ProtolineError, quote } from "../../core/index.ts";
import { action, type Context, examples } from "../context.ts";
import { integer, parsePattern } from "../parse.ts";
import { bytesText, oneLine, plural, table } from "../text.ts";

export function data(program: Command): void {
  const group = program
    .command("data")
    .description("data sets to train and evaluate with: what there is, fetching them, splitting your own");

  group
    .command("list")
    .description("all data sets by name")
    .action(action((context) => list(context)));

  group
    .command("pull")
    .description(
      "fetch data sets into PROTOLINE_DATA: from PROTOLINE_DATA_MIRROR (folder or URL), else from their own addresses",
    )
    .argument("<names...>", "names from data list")
    .addHelpText(
      "after",
      examples(
        ["protoline data pull omniglot", "what is there already is not fetched again"],
        ["PROTOLINE_DATA_MIRROR=/mnt/sets protoline data pull cifar-fs", "without a network"],
      ),
    )
    .action(action<[string[]], object>((context, [names]) => pull(context, names)));

  group
    .command("info")
    .description("what is known of a data set: pictures, splits, files, origin, licence")
    .argument("<name>", "a name from data list")
    .option("--root <folder>", "where it lies (default: in PROTOLINE_DATA, by its name)")
    .option("--splits <folder>", "where its lists lie (default: with the data set)")
    .action(action<[string], InfoFlags>((context, [name], flags) => info(context, name, flags)));

  group
    .command("split")
    .description("make the lists train.txt, val.txt, test.txt for a folder with a folder a class")
    .argument("<folder>", "the folder of class folders")
    .addOption(
      new Option("--by <what>", "classes: whole classes on one side; pictures: all classes on each side")
        .choices(["classes", "pictures"])
        .default("classes"),
    )
    .option(
      "--group-by <pattern>",
      "regular expression on file names: pictures whose match (or first group) agrees stay on one side; with --by pictures",
      parsePattern,
    )
    .option("--shares <train,val,test>", "of the pictures", parseShares, { train: 0.6, val: 0.2, test: 0.2 })
    .option("--seed <n>", "another number, another split", integer, 0)
    .option("--out <folder>", "where the lists go (default: splits in the folder)")
    .addHelpText(
      "after",
      examples(
        ["protoline data split parts/", "to train for classes that are new later"],
        [
          'protoline data split parts/ --by pictures --group-by "serial\\d+"',
          "frames of one part never on two sides",
        ],
      ),
    )
    .action(action<[string], SplitFlags>((context, [folder], flags) => split(context, folder, flags)));
}

async function list({ json, print, paint }: Context): Promise<void> {
  const { dataSources, datasets } = await import("../../data/index.ts");
  const { folder } = dataSources(process.env);
  const listed = datasets.map(({ name, description, license, size, channels, files }) => ({
    name,
    description,
    license,
    size,
    channels,
    here: files.length > 0 && files.every(({ file }) => existsSync(join(folder, name, file))),
    published: files.length > 0,
  }));
  if (json) return print(JSON.stringify(listed));
  print(
    table(
      ["data set", "here", "input", "licence", "what"],
      listed.map(({ name, here, published, size, channels, license, description }) => [
        name,
        published ? (here ? "yes" : "no: data pull") : "yours",
        `${channels} × ${size} × ${size}`,
        license,
        description,
      ]),
      paint,
    ),
  );
}

async function pull(context: Context, names: readonly string[]): Promise<void> {
  const { dataSources, pullDataset } = await import("../../data/index.ts");
  const sources = dataSources(process.env);
  const results: { name: string; files: Awaited<ReturnType<typeof pullDataset>> }[] = [];
  for (const name of names) {
    const progress = await context.progress(`pull ${name} (KiB)`, 1);
    const files = await pullDataset(name, sources, {
      onProgress: (file, received, total) =>
        progress.update(Math.round(received / 1024), file, Math.round(total / 1024)),
    }).finally(() => progress.stop());
    results.push({ name, files });
    if (context.json) continue;
    const fetched = files.filter(({ downloaded }) => downloaded).length;
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    context.print(
      `${name}: ${plural(fetched, "file")} of ${files.length} fetched, ${bytesText(bytes)} in ${quote(join(sources.folder, name), 300)}`,
    );
    for (const { file, published } of files)
      if (published === false)
        context.note(`${name}: ${file} is not the published file to the byte; the mirror has its own`);
  }
  if (context.json) context.print(JSON.stringify(results));
}

interface InfoFlags {
  readonly root?: string;
  readonly splits?: string;
}

async function info({ json, print, paint }: Context, name: string, flags: InfoFlags): Promise<void> {
  const { datasetInfo, dataSources, findDataset } = await import("../../data/index.ts");
  const { plan: _, ...dataset } = findDataset(name);
  if (name === "folder" && flags.root === undefined)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "--root with the folder of your pictures",
      got: "none",
      todo: "Name the folder: protoline data info folder --root parts/",
    });
  const root = flags.root ?? join(dataSources(process.env).folder, name);
  let missing: string | null = null;
  const splits = await datasetInfo(name, { root, splits: flags.splits }).catch((error: unknown) => {
    if (flags.root !== undefined || !isProtolineError(error)) throw error;
    missing = error.message;
    return [];
  });
  if (json) return print(JSON.stringify({ ...dataset, root, splits }));
  for (const [title, text] of [
    ["data set", `${name}: ${dataset.description}`],
    ["input", `${dataset.channels} × ${dataset.size} × ${dataset.size}, ${dataset.interpolation}`],
    ["licence", dataset.license],
    ["origin", dataset.citation],
    ["folder", missing === null ? root : `${root}, not usable: ${missing}`],
  ] as const)
    print(`${title.padEnd(9)} ${oneLine(text)}`);
  if (splits.length > 0)
    print(
      `\n${table(
        ["split", "classes", "pictures", "smallest class", "largest"],
        splits.map(({ split: part, classes, pictures, smallest, largest }) => [
          part,
          classes,
          pictures,
          smallest,
          largest,
        ]),
        paint,
      )}`,
    );
  for (const { file, address, bytes, sha256 } of dataset.files)
    print(
      `\n${file}${bytes === null ? "" : `, ${bytesText(bytes)}`}\n  ${address}${sha256 === null ? "" : `\n  SHA-256 ${sha256}`}`,
    );
}

interface Shares {
  readonly train: number;
  readonly val: number;
  readonly test: number;
}

interface SplitFlags {
  readonly by: "classes" | "pictures";
  readonly groupBy?: RegExp;
  readonly shares: Shares;
  readonly seed: number;
  readonly out?: string;
}

function parseShares(text: string): Shares {
  const [train, val, test, ...rest] = text.split(",").map(Number);
  if (rest.length > 0 || ![train, val, test].every((share) => share !== undefined && share >= 0))
    throw new InvalidArgumentError("It must be three numbers from 0 on, as 0.6,0.2,0.2.");
  return { train: train!, val: val!, test: test! };
}

async function split(
  { json, print, paint, note }: Context,
  folder: string,
  { by, groupBy, shares, seed, out = join(folder, "splits") }: SplitFlags,
): Promise<void> {
  if (by === "classes" && groupBy)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "--group-by together with --by pictures",
      got: "--by classes, which keeps whole classes on one side anyway",
      todo: "Add --by pictures, or leave --group-by out.",
    });
  const { groupByFileName, listClasses, listedPath, splitByGroup, writeSplits } = await import(
    "../../data/index.ts"
  );
  const { classes: found } = await listClasses(folder);
  const labels = found.flatMap(({ label, images }) => images.map(() => label));
  const paths = found.flatMap(({ images }) => images.map((path) => listedPath(folder, path)));
  const groups =
    by === "classes" ? labels : groupBy ? paths.map((path) => groupByFileName(path, groupBy)) : null;
  const sides = splitByGroup(labels, groups, shares, seed);
  const lines = (side: readonly number[]): string[] => [
    ...new Set(side.map((row) => (by === "classes" ? labels[row]! : paths[row]!))),
  ];
  const lists = { train: lines(sides.train), val: lines(sides.val), test: lines(sides.test) };
  await writeSplits(out, lists);
  const made = (["train", "val", "test"] as const).map((side) => ({
    split: side,
    classes: new Set(sides[side].map((row) => labels[row]!)).size,
    pictures: sides[side].length,
  }));
  if (json) return print(JSON.stringify({ folder: out, splits: made }));
  print(
    table(
      ["split", "classes", "pictures"],
      made.map(({ split: side, classes, pictures: count }) => [side, classes, count]),
      paint,
    ),
  );
  note(`lists in ${quote(out, 300)}`);
}
