import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { ProtolineError, quote } from "../../core/index.ts";
import type { GalleryStore, RefreshPolicy, RevisionInfo } from "../../store/index.ts";
import { action, type Context, examples } from "../context.ts";
import { showDiff, showGallery } from "../gallery-view.ts";
import { parseRefresh, positiveInteger, revisionNumber } from "../parse.ts";
import { openModel, withStore } from "../resources.ts";
import { oneLine, plural, shorten, table, timeText } from "../text.ts";

const defaultHistory = 20;
/** Columns of a reason; --json has it whole. */
const longestReason = 60;

const refreshText = (refresh: RefreshPolicy): string =>
  refresh.kind === "after" ? `after ${plural(refresh.samples, "sample")}` : refresh.kind;

/** Says which revision the gallery is at now. */
function reportRevision({ json, print, gallery }: Context, revision: RevisionInfo, done: string): void {
  if (json) print(JSON.stringify({ gallery, revision }));
  else
    print(
      `${done}: gallery ${quote(gallery)} is at revision ${revision.number} with ${plural(revision.classes, "class", "classes")} and ${plural(revision.samples, "picture")}`,
    );
}

interface Reason {
  readonly reason?: string;
}

/** A command that changes the gallery and ends with a new revision. */
function change<Args extends readonly unknown[], Flags extends Reason>(
  done: string,
  run: (
    store: GalleryStore,
    context: Context,
    args: Args,
    change: { who: string; reason?: string },
    flags: Flags,
  ) => Promise<RevisionInfo>,
): (...passed: unknown[]) => Promise<void> {
  return action<Args, Flags>((context, args, flags) =>
    withStore(context, "existing", async (store) => {
      const who = { who: context.who, ...(flags.reason !== undefined && { reason: flags.reason }) };
      reportRevision(context, await run(store, context, args, who, flags), done);
    }),
  );
}

const because = (): Option => new Option("--reason <text>", "why, for the history");

export function gallery(program: Command): void {
  const group = program
    .command("gallery")
    .description("look at a gallery and change it; every change is a revision that can be taken back");

  group
    .command("list")
    .description("the galleries of the store")
    .action(
      action((context) =>
        withStore(context, "existing", async (store) => {
          const galleries = await store.galleries();
          if (context.json) return context.print(JSON.stringify(galleries));
          context.print(
            table(
              ["gallery", "model", "revision", "classes", "pictures", "pending", "refresh"],
              galleries.map(({ name, model, head, pending, refresh }) => [
                name,
                model,
                head.number,
                head.classes,
                head.samples,
                pending,
                refreshText(refresh),
              ]),
              context.paint,
            ),
          );
        }),
      ),
    );

  group
    .command("show")
    .description("classes and decision of a gallery; with a class, its pictures")
    .argument("[class]", "show the pictures of this class, with their ids")
    .option("--revision <n>", "an older revision", revisionNumber)
    .addHelpText(
      "after",
      examples(
        ["protoline gallery show", "the classes"],
        ['protoline gallery show "motor housing"', "the pictures of one class"],
      ),
    )
    .action(
      action<[string | undefined], { revision?: number }>((context, [label], { revision }) =>
        withStore(context, "existing", (store) => showGallery(context, store, label, revision)),
      ),
    );

  group
    .command("rename")
    .description("rename a class")
    .argument("<from>", "the class")
    .argument("<to>", "its new name")
    .addOption(because())
    .action(
      change<[string, string], Reason>("renamed", (store, context, [from, to], who) =>
        store.renameClass(context.gallery, from, to, who),
      ),
    );

  group
    .command("merge")
    .description("move all pictures of some classes into another")
    .argument("<from...>", "the classes that end")
    .requiredOption("--into <class>", "the class that takes their pictures")
    .addOption(because())
    .addHelpText(
      "after",
      examples([
        'protoline gallery merge "housing" "housing old" --into "motor housing"',
        "three become one",
      ]),
    )
    .action(
      change<[string[]], Reason & { into: string }>("merged", (store, context, [from], who, { into }) =>
        store.mergeClasses(context.gallery, from, into, who),
      ),
    );

  group
    .command("remove")
    .description("remove a class, single pictures, or the whole gallery")
    .argument("[class]", "the class")
    .option("--sample <id...>", "remove these pictures alone (ids: gallery show CLASS --json)")
    .option("--everything", "remove the gallery with its history, for good; needs --yes")
    .option("--yes", "yes, really")
    .addOption(because())
    .addHelpText(
      "after",
      examples(
        ['protoline gallery remove "hex nut"', "can be taken back: gallery rollback"],
        ["protoline gallery remove --gallery line-2 --everything --yes", "cannot be taken back"],
      ),
    )
    .action(action<[string | undefined], RemoveFlags>(remove));

  group
    .command("publish")
    .description("make pending pictures part of a new revision (refresh policy manual or after N)")
    .addOption(because())
    .action(change<[], Reason>("published", (store, context, _, who) => store.publish(context.gallery, who)));

  group
    .command("refresh")
    .description("when enrolled pictures take effect: immediate, manual, or after a number of new samples")
    .argument("<policy>", "immediate, manual, or a number", parseRefresh)
    .action(
      action<[RefreshPolicy], object>((context, [refresh]) =>
        withStore(context, "existing", async (store) => {
          await store.setRefresh(context.gallery, refresh);
          if (context.json) context.print(JSON.stringify({ gallery: context.gallery, refresh }));
          else context.print(`gallery ${quote(context.gallery)} takes new pictures: ${refreshText(refresh)}`);
        }),
      ),
    );

  group
    .command("history")
    .description("the revisions, newest first: who changed what, when and why")
    .option("--limit <n>", "how many", positiveInteger, defaultHistory)
    .action(
      action<[], { limit: number }>((context, _, { limit }) =>
        withStore(context, "existing", async (store) => {
          const history = await store.history(context.gallery, limit);
          if (context.json) return context.print(JSON.stringify(history));
          context.print(
            table(
              ["revision", "time (UTC)", "who", "classes", "pictures", "content", "reason"],
              history.map((revision) => [
                revision.number,
                timeText(revision.time),
                oneLine(revision.who),
                revision.classes,
                revision.samples,
                revision.hash.slice(0, 12),
                shorten(oneLine(revision.reason), longestReason),
              ]),
              context.paint,
            ),
          );
        }),
      ),
    );

  group
    .command("diff")
    .description("what changed between two revisions")
    .argument("<from>", "number of a revision", revisionNumber)
    .argument("[to]", "number of a revision (default: the newest)", revisionNumber)
    .action(
      action<[number, number | undefined], object>((context, [from, to]) =>
        withStore(context, "existing", (store) => showDiff(context, store, from, to)),
      ),
    );

  group
    .command("rollback")
    .description("go back to an older revision, as a new one; nothing is erased, so it can be taken back too")
    .argument("<revision>", "its number; see gallery history", revisionNumber)
    .addOption(because())
    .addHelpText("after", examples(["protoline gallery rollback 3", "as it was at revision 3"]))
    .action(
      change<[number], Reason>("rolled back", (store, context, [revision], who) =>
        store.rollback(context.gallery, revision, who),
      ),
    );

  registerTransfer(group);
}

interface ReembedFlags {
  readonly done?: string;
  readonly queue?: string;
  readonly queuePrefix?: string;
}

async function runReembed(context: Context, { done, queue, queuePrefix }: ReembedFlags): Promise<void> {
  const { gallery, model } = context;
  if (model === undefined)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "the model to change to",
      got: "no --model",
      todo: "Name it: protoline gallery reembed --model NAME.",
    });
  await withStore(context, "existing", async (store) => {
    const { heldOutName } = await import("../../recognizer/index.ts");
    const own = await store.gallery(gallery);
    // The held-out pictures are asked of the gallery, so they are embedded as it is.
    const heldOut = (await store.galleries()).filter(({ name }) => name === heldOutName(gallery));
    const encoder = await openModel(context, model);
    const folder = done ?? (await mkdtemp(join(tmpdir(), "protoline-reembed-")));
    try {
      const due = [own, ...heldOut].filter(({ modelHash }) => modelHash !== encoder.modelHash);
      if (due.length === 0) return reportRevision(context, own.head, "nothing to do, it has that model");
      const jobs = await import("../../jobs/index.ts");
      const executor =
        queue === undefined
          ? jobs.localExecutor(jobs.embedWork({ store, encoders: async () => encoder }))
          : await jobs.queueExecutor({ url: queue, ...(queuePrefix && { prefix: queuePrefix }) });
      try {
        for (const { name, head } of due) {
          const progress = await context.progress("pieces", Math.ceil(head.samples / jobs.samplesPerPiece));
          const revision = await jobs
            .reembed({
              ...{ store, gallery: name, encoder, model, executor },
              folder: name === gallery ? folder : join(folder, "holdout"),
              change: { who: context.who, reason: `embedded again by ${model}` },
              onProgress: ({ done: n, total, kept }) =>
                progress.update(n, kept > 0 ? `${kept} were there` : "", total),
            })
            .finally(() => progress.stop());
          reportRevision({ ...context, gallery: name }, revision, "embedded again");
        }
      } finally {
        await executor.close();
      }
    } finally {
      if (done === undefined) await rm(folder, { recursive: true, force: true });
      await encoder.close();
    }
  });
}

function registerTransfer(group: Command): void {
  group
    .command("reembed")
    .description(
      "embed the kept pictures again with another model, as a new revision; those held out (NAME.holdout) too",
    )
    .option("--done <folder>", "keep here what is done, so that it goes on when it was stopped")
    .option(
      "--queue <url>",
      "redis://HOST:PORT: let workers do it (protoline work), on this machine or others",
    )
    .option("--queue-prefix <text>", "before the queue's keys (default: protoline-jobs)")
    .addHelpText(
      "after",
      examples(
        ["protoline gallery reembed --model mobilenet-v2", "from then on the gallery's own"],
        [
          "protoline gallery reembed --model mobilenet-v2 --done done/ --queue redis://host:6379",
          "a large one, by workers",
        ],
      ),
    )
    .action(action<[], ReembedFlags>((context, _, flags) => runReembed(context, flags)));

  group
    .command("export")
    .description("write the gallery with its pictures into one file, to keep or to move to another machine")
    .argument("<file>", "the file to write")
    .action(
      action<[string], object>((context, [file]) =>
        withStore(context, "existing", async (store) => {
          const { exportGallery } = await import("../../store/index.ts");
          await exportGallery(store, context.gallery, file);
          if (context.json) context.print(JSON.stringify({ gallery: context.gallery, file }));
          else context.print(`gallery ${quote(context.gallery)} is in ${quote(file, 300)}`);
        }),
      ),
    );

  group
    .command("import")
    .description("read a gallery that was exported, under its own name or that of --gallery")
    .argument("<file>", "the file to read")
    .addHelpText(
      "after",
      examples(["protoline gallery import line-1.gz --gallery line-2", "under another name"]),
    )
    .action(
      action<[string], object>((context, [file]) =>
        withStore(context, "create", async (store) => {
          const { importGallery } = await import("../../store/index.ts");
          const info = await importGallery(store, file, {
            who: context.who,
            ...(context.galleryNamed && { name: context.gallery }),
          });
          reportRevision({ ...context, gallery: info.name }, info.head, "imported");
        }),
      ),
    );
}

interface RemoveFlags extends Reason {
  readonly sample?: string[];
  readonly everything?: boolean;
  readonly yes?: boolean;
}

async function remove(
  context: Context,
  [label]: [string | undefined],
  { sample, everything = false, yes = false, reason }: RemoveFlags,
): Promise<void> {
  const asked = [label !== undefined, sample !== undefined, everything].filter(Boolean).length;
  if (asked !== 1 || (everything && !yes))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: everything ? "--everything with --yes" : "a class, --sample or --everything",
      got: everything ? "--everything without --yes" : asked === 0 ? "none of them" : "more than one of them",
      todo: everything
        ? "Add --yes to remove the gallery with its history for good."
        : "Say what to remove; see protoline gallery remove --help.",
    });
  await withStore(context, "existing", async (store) => {
    const who = { who: context.who, ...(reason !== undefined && { reason }) };
    if (everything) {
      await store.removeGallery(context.gallery);
      if (context.json) context.print(JSON.stringify({ gallery: context.gallery, removed: true }));
      else context.print(`gallery ${quote(context.gallery)} is gone`);
      return;
    }
    const revision = sample
      ? await store.removeSamples(context.gallery, sample, who)
      : await store.removeClass(context.gallery, label!, who);
    reportRevision(context, revision, "removed");
  });
}
