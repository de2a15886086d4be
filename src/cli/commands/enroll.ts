import { readdir } from "node:fs/promises";
import { extname } from "node:path";
import { type Command, Option } from "commander";
import { type ErrorCode, ProtolineError, quote } from "../../core/index.ts";
import type { Region } from "../../data/index.ts";
import type { EnrollResult, Recognizer } from "../../recognizer/index.ts";
import type { RefreshPolicy } from "../../store/index.ts";
import { action, type Context, examples } from "../context.ts";
import { codeToExit, partlyDone } from "../exit.ts";
import { limitText } from "../expected-text.ts";
import { noteOlderDecision } from "../older-decision.ts";
import { parseRefresh, parseRegion } from "../parse.ts";
import { kindOf, withRecognizer } from "../resources.ts";
import { oneLine, plural, seconds, table } from "../text.ts";

interface EnrollFlags {
  readonly class?: string;
  readonly region?: Region;
  readonly keep: "original" | "thumbnail" | "none";
  readonly refresh?: RefreshPolicy;
  readonly allowOtherClass?: boolean;
  readonly reason?: string;
}

export function enroll(program: Command): void {
  program
    .command("enroll")
    .description("show pictures of parts to a gallery: they are recognized from the next frame on")
    .argument(
      "<paths...>",
      "a folder that holds a folder for each class; with --class, pictures or folders of one class",
    )
    .option("--class <name>", "the class of all these pictures")
    .option("--region <x,y,width,height>", "look at this part of each picture alone, pixels", parseRegion)
    .addOption(
      new Option("--keep <what>", "what the store keeps of a picture")
        .choices(["original", "thumbnail", "none"])
        .default("original"),
    )
    .option(
      "--refresh <policy>",
      "for a new gallery, when pictures take effect: immediate, manual, or a number of new samples",
      parseRefresh,
    )
    .option("--allow-other-class", "enroll a picture even when another class holds it too")
    .option("--reason <text>", "why, for the history")
    .addHelpText(
      "after",
      `${examples(
        ["protoline enroll parts/", "parts/washer/1.jpg … are of class washer"],
        ['protoline enroll --class "motor housing B" img1.jpg img2.jpg', "some pictures of one class"],
      )}\n\nA broken picture is reported and the others are kept: exit code ${partlyDone}. A picture that is there already is no error.`,
    )
    .action(action<[string[]], EnrollFlags>(run));
}

interface Work {
  readonly classes: readonly { readonly label: string; readonly images: readonly string[] }[];
  readonly empty: readonly string[];
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
}

/** The pictures to enroll: one class that was named, or a folder a class. */
async function listWork(paths: readonly string[], label: string | undefined): Promise<Work> {
  const { listClasses, listImages } = await import("../../data/index.ts");
  const byLabel = new Map<string, string[]>();
  const add = (name: string, images: readonly string[]): void => {
    byLabel.set(name, [...(byLabel.get(name) ?? []), ...images]);
  };
  const empty: string[] = [];
  const skipped: Work["skipped"][number][] = [];
  for (const path of paths) {
    const kind = await kindOf(path);
    if (label !== undefined) {
      const listing = kind === "folder" ? await listImages(path) : { images: [path], skipped: [] };
      add(label, listing.images);
      skipped.push(...listing.skipped);
    } else {
      if (kind === "file" || (kind === "folder" && (await holdsOneClass(path)))) throw classMissing(path);
      const listing = await listClasses(path);
      for (const { label: name, images } of listing.classes) add(name, images);
      empty.push(...listing.empty);
      skipped.push(...listing.skipped);
    }
  }
  return {
    classes: [...byLabel].map(([name, images]) => ({ label: name, images })),
    empty: empty.filter((name) => !byLabel.has(name)),
    skipped,
  };
}

/** Pictures right in the folder, and no folder beside them. */
async function holdsOneClass(path: string): Promise<boolean> {
  const { imageExtensions } = await import("../../data/index.ts");
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return (
    entries.some((entry) => entry.isFile() && imageExtensions.includes(extname(entry.name).toLowerCase())) &&
    !entries.some((entry) => entry.isDirectory() || entry.isSymbolicLink())
  );
}

const classMissing = (path: string): ProtolineError =>
  new ProtolineError("INVALID_ARGUMENT", {
    expected: "a folder that holds a folder for each class, or pictures with --class",
    got: `${quote(path, 200)} without --class`,
    todo: 'Say which part it shows: protoline enroll --class "NAME" PATHS.',
  });

async function run(context: Context, [paths]: [string[]], flags: EnrollFlags): Promise<number> {
  const { classes, empty, skipped } = await listWork(paths, flags.class);
  const { checkLabel } = await import("../../store/index.ts");
  // All names first, so that a wrong one stops the command before it has made or enrolled anything.
  for (const { label } of classes) checkLabel(label);
  const started = performance.now();
  return withRecognizer(
    context,
    "create",
    async (recognizer) => {
      const results = await enrollAll(context, recognizer, classes, flags);
      for (const { path, reason } of skipped) context.note(`skipped ${quote(path, 200)}: ${reason}`);
      for (const label of empty)
        context.warn(
          `class ${quote(label)} has no images: add pictures to its folder, or remove it [CLASS_EMPTY]`,
        );
      report(context, recognizer, results, empty, skipped, performance.now() - started);
      noteOlderDecision(context, recognizer);
      return endCode(results, empty);
    },
    { keep: flags.keep, ...(flags.refresh && { refresh: flags.refresh }) },
  );
}

async function enrollAll(
  context: Context,
  recognizer: Recognizer,
  classes: Work["classes"],
  { region, allowOtherClass = false, reason }: EnrollFlags,
): Promise<EnrollResult[]> {
  const total = classes.reduce((sum, { images }) => sum + images.length, 0);
  const progress = await context.progress("enroll", total);
  const results: EnrollResult[] = [];
  let done = 0;
  for (const { label, images } of classes) {
    progress.update(done, oneLine(label));
    const result = await recognizer.enroll(label, images, {
      who: context.who,
      allowOtherClass,
      ...(reason !== undefined && { reason }),
      ...(region && { region }),
    });
    done += images.length;
    results.push(result);
    for (const { origin, code, message } of result.rejected)
      context.warn(`${quote(origin, 200)} was not enrolled: ${message} [${code}]`);
  }
  progress.stop();
  return results;
}

/** Classes whose limits are told one by one. */
const mostUnsure = 4;

function report(
  { json, print, note, paint, gallery }: Context,
  recognizer: Recognizer,
  results: readonly EnrollResult[],
  empty: readonly string[],
  skipped: Work["skipped"],
  ms: number,
): void {
  const last = results.at(-1);
  if (json) {
    print(
      JSON.stringify({
        gallery,
        model: recognizer.encoder.manifest.name,
        revision: last?.revision ?? recognizer.revision.number,
        pending: last?.pending ?? 0,
        classes: results,
        emptyClasses: empty,
        skipped,
        ms,
      }),
    );
    return;
  }
  print(
    table(
      ["class", "enrolled", "there already", "refused", "ms a picture"],
      results.map(({ label, added, duplicates, rejected, ms: { total } }) => [
        oneLine(label),
        added.length,
        duplicates.length,
        rejected.length,
        (total / Math.max(1, added.length + duplicates.length + rejected.length)).toFixed(1),
      ]),
      paint,
    ),
  );
  const stated = recognizer.decision.openSet.falseRejectRate;
  const unsure = results.flatMap(({ label }) => {
    // As all classes leave it, not as it was when this one was enrolled.
    const limit = recognizer.limits.get(label);
    return limit && limit.missing > 0 ? [`${oneLine(label)}: ${limitText(limit, stated)}`] : [];
  });
  // What a person can act on: the classes that know least of their own limit.
  for (const line of unsure.slice(0, mostUnsure)) note(line);
  if (unsure.length > mostUnsure)
    note(`and ${plural(unsure.length - mostUnsure, "class", "classes")} more: protoline monitor check`);
  const added = results.reduce((sum, result) => sum + result.added.length, 0);
  note(
    `${plural(added, "picture")} enrolled in ${seconds(ms)}; gallery ${quote(gallery)} is at revision ${last?.revision ?? recognizer.revision.number}`,
  );
  if (last && last.pending > 0)
    note(`${plural(last.pending, "picture")} wait for the next revision: protoline gallery publish`);
}

function endCode(results: readonly EnrollResult[], empty: readonly string[]): number {
  const rejected = results.flatMap((result) => result.rejected);
  const kept = results.some(({ added, duplicates }) => added.length + duplicates.length > 0);
  if (rejected.length === 0 && empty.length === 0) return 0;
  if (kept) return partlyDone;
  const code: ErrorCode = rejected[0]?.code ?? "CLASS_EMPTY";
  return codeToExit(code);
}
