import { readFile, writeFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import { ProtolineError, quote } from "../../core/index.ts";
import type { ExpectedRates, Limit } from "../../fewshot/index.ts";
import type { ClassQuality, CountedRate } from "../../monitor/index.ts";
import type { DriftReply } from "../../server/index.ts";
import { action, type Context, examples } from "../context.ts";
import { expectedBasis, limitText, printExpected } from "../expected-text.ts";
import { noteOlderDecision } from "../older-decision.ts";
import { positiveInteger, shareOrZero } from "../parse.ts";
import { withRecognizer } from "../resources.ts";
import { bytesText, oneLine, percent, plural, table } from "../text.ts";

/** Exit code when a class is bad or strangers pass: unavailable, as doctor's. */
const unfit = 7;
/** Share of the pictures of classes left out that must be caught. */
const leastCaught = 0.5;

export function monitor(program: Command): void {
  const group = program
    .command("monitor")
    .description("is the gallery still good? figures with intervals, and what to do");
  group
    .command("check")
    .description(
      "each class by leaving its pictures out in turn: right, wrong, unknown, what it is confused with",
    )
    .option(
      "--caught <share>",
      "parts never shown that must be caught, as 0.5; 0 asks for none",
      shareOrZero,
      leastCaught,
    )
    .addHelpText(
      "after",
      `${examples(
        ["protoline monitor check", "both rates, the worst class first, and what to do about it"],
        ["protoline monitor check --json | jq '.classes[] | select(.verdict == \"bad\")'", "for a script"],
      )}\n\nFirst both rates: of known parts called unknown (each picture left out) and of parts never shown that are caught (each\nclass left out). Then the classes; good: at least 90 % of its pictures are named right when they are left out; bad: less\nthan 70 %; watch: between, or fewer than 5 pictures. Exit code 0 when no class is bad and strangers do not pass, ${unfit}\notherwise; they pass when surely (95 %) fewer than --caught of them are caught. Nothing is changed.`,
    )
    .action(action<[], CheckFlags>((context, _, flags) => check(context, flags)));
  group
    .command("evaluate")
    .description("ask the last revisions about held-out pictures: accuracy, false rejects, false accepts")
    .option("--last <n>", "revisions", positiveInteger, 10)
    .addHelpText(
      "after",
      `${examples(
        ["protoline enroll holdout/ --gallery default.holdout", "pictures that default is never shown"],
        ["protoline monitor evaluate", "accuracy of each revision, and whether the newest is worse"],
        ["protoline monitor evaluate --json >> history.jsonl", "from cron"],
      )}\n\nThe held-out pictures of gallery NAME are the gallery NAME.holdout; classes that NAME does not have are strangers there and\ngive the false accepts. Exit code ${unfit} when the newest revision is worse than the one before, picture by picture (p ≤ ${worseLevel}),\n0 otherwise. Nothing is changed.`,
    )
    .action(action<[], EvaluateFlags>((context, _, flags) => evaluate(context, flags)));
  group
    .command("report")
    .description("the figures of a gallery and its line as one HTML page with plots")
    .option("-o, --out <file>", "the page; one that is there is replaced", "monitor.html")
    .option("--drift <file>", "what the server answered at /v1/galleries/GALLERY/drift, to be shown, too")
    .option("--last <n>", "revisions that held-out pictures are asked of", positiveInteger, 10)
    .addOption(new Option("--lang <language>", "of the page").choices(["en", "zh"]).default("en"))
    .addHelpText(
      "after",
      `${examples(
        ["protoline monitor report", "quality, and held-out pictures where there are any"],
        [
          "curl -s localhost:8080/v1/galleries/default/drift > drift.json && protoline monitor report --drift drift.json",
          "with the line as the server sees it",
        ],
      )}\n\nThe page needs no other file, no script and no network.`,
    )
    .action(action<[], ReportFlags>((context, _, flags) => report(context, flags)));
}

interface CheckFlags {
  readonly caught: number;
}
interface EvaluateFlags {
  readonly last: number;
}
interface ReportFlags {
  readonly out: string;
  readonly drift?: string;
  readonly last: number;
  readonly lang: "en" | "zh";
}

/** A revision counts as worse where so clear a loss comes by chance in so few of 1 cases. */
const worseLevel = 0.01;

async function evaluate(context: Context, { last }: EvaluateFlags): Promise<number> {
  const { evaluateHeldOut } = await import("../../recognizer/index.ts");
  return withRecognizer(context, "existing", async ({ store, gallery, priors }) => {
    const history = await evaluateHeldOut(store, gallery, priors, last);
    const { evaluations, pictures, shown, heldOut } = history;
    const change = evaluations.at(-1)?.change;
    const worse = change != null && change.lost > change.gained && change.pValue <= worseLevel;
    if (context.json) context.print(JSON.stringify({ ...history, worse }));
    else {
      const rate = ({ hits, of, interval: [low, high] }: CountedRate): string =>
        of === 0 ? "–" : `${hits} of ${of} (${percent(low, 0)} to ${percent(high, 0)})`;
      context.print(
        table(
          ["revision", "reason", "right", "false rejects", "false accepts", "lost", "gained", "p"],
          evaluations.map(({ revision, right, falseReject, falseAccept, change: by }) => [
            revision.number,
            oneLine(revision.reason),
            ...[right, falseReject, falseAccept].map(rate),
            by?.lost ?? "",
            by?.gained ?? "",
            by ? by.pValue.toFixed(3) : "",
          ]),
          context.paint,
        ),
      );
      const left = shown > 0 ? `; ${shown} more were enrolled, too, and are left out` : "";
      context.print(`\n${plural(pictures, "picture")} of ${heldOut}${left}`);
      if (worse) context.print(context.paint.red("the newest revision is worse than the one before"));
    }
    return worse ? unfit : 0;
  });
}

async function report(context: Context, { out, drift, last, lang }: ReportFlags): Promise<void> {
  const [{ evaluateHeldOut, galleryQuality, galleryRates, heldOutName }, { renderMonitor }] =
    await Promise.all([import("../../recognizer/index.ts"), import("../../report/index.ts")]);
  const line = drift === undefined ? null : await readDrift(drift);
  await withRecognizer(context, "existing", async (recognizer) => {
    const { store, gallery, priors, encoder, revision } = recognizer;
    const held = (await store.galleries()).some(({ name }) => name === heldOutName(gallery));
    const history = held ? await evaluateHeldOut(store, gallery, priors, last) : null;
    const page = renderMonitor({
      ...{ gallery, model: encoder.manifest.name, revision: revision.number, language: lang, drift: line },
      time: new Date().toISOString().slice(0, 16).replace("T", " "),
      quality: galleryQuality(recognizer),
      expected: galleryRates(recognizer),
      falseRejectRate: recognizer.decision.openSet.falseRejectRate,
      heldOutName: heldOutName(gallery),
      heldOut: history && {
        ...history,
        evaluations: history.evaluations.map((one) => ({ ...one, revision: one.revision.number })),
      },
    });
    await writeFile(out, page).catch((error) => {
      throw new ProtolineError("INVALID_ARGUMENT", {
        expected: "a file that can be written, for --out",
        got: quote(out, 200),
        todo: "Name a file in a folder that is there and may be written to.",
        cause: error,
      });
    });
    const bytes = Buffer.byteLength(page);
    if (context.json) context.print(JSON.stringify({ report: out, bytes }));
    else context.print(`${out}: ${bytesText(bytes)}`);
  });
}

async function readDrift(path: string): Promise<DriftReply> {
  const [{ DriftReply: schema }, { Value }] = await Promise.all([
    import("../../server/index.ts"),
    import("typebox/value"),
  ]);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ProtolineError("REPORT_SOURCE_NOT_FOUND", {
      expected: "a file for --drift",
      got: `${quote(path, 200)}: ${error.code}`,
      todo: "Save what the server answers at /v1/galleries/GALLERY/drift, and name that file.",
    });
  });
  let value: unknown = null;
  try {
    value = JSON.parse(text);
  } catch {
    // Told below, as anything else that is not an answer.
  }
  if (Value.Check(schema, value)) return value;
  throw new ProtolineError("REPORT_SOURCE_INVALID", {
    expected: "an answer of the server at /v1/galleries/GALLERY/drift, for --drift",
    got: quote(text),
    todo: "Save the answer as it is; an error of the server is none.",
  });
}

async function check(context: Context, flags: CheckFlags): Promise<number> {
  const { galleryQuality, galleryRates } = await import("../../recognizer/index.ts");
  return withRecognizer(context, "existing", async (recognizer) => {
    const stated = recognizer.decision.openSet.falseRejectRate;
    const classes = galleryQuality(recognizer);
    const expected = galleryRates(recognizer);
    const limits = Object.fromEntries(recognizer.limits);
    const caught = expected.rates.find((rate) => rate.stated === stated)?.caught;
    const strangersPass = caught != null && caught.interval[1] < flags.caught;
    if (context.json) context.print(JSON.stringify({ stated, expected, strangersPass, classes, limits }));
    else {
      printExpected(context, expected, stated);
      context.print("");
      print(context, classes);
      printLimits(context, recognizer.limits, stated);
      noteOlderDecision(context, recognizer);
      if (strangersPass) context.print(context.paint.red(passing(expected, flags.caught)));
      context.note(`both rates ${expectedBasis(expected)}`);
    }
    return strangersPass || classes.some(({ verdict }) => verdict === "bad") ? unfit : 0;
  });
}

/** Which class lets strangers in, and what to do. */
function passing({ strangers }: ExpectedRates<string>, least: number): string {
  const worst = strangers[0]!;
  const by = worst.takenBy ? `, taken for ${oneLine(worst.takenBy.label)}` : "";
  return [
    `strangers pass: fewer than ${percent(least, 0)} of parts never shown would be caught, the fewest of ${oneLine(worst.label)} (${worst.caught.hits} of ${worst.caught.of}${by}).`,
    "State a higher rate (protoline tune --false-reject 0.1), show more pictures, or enroll the parts that may come by mistake.",
  ].join(" ");
}

function printLimits({ print: say }: Context, limits: ReadonlyMap<string, Limit>, stated: number): void {
  const open = [...limits].filter(([, { missing }]) => missing > 0);
  if (open.length === 0) return;
  const some = open.slice(0, 5).map(([label, limit]) => `${oneLine(label)}: ${limitText(limit, stated)}`);
  say(["", ...some, ...(open.length > 5 ? [`and ${open.length - 5} classes more`] : [])].join("\n"));
}

function print({ print: say, paint }: Context, classes: readonly ClassQuality[]): void {
  const share = ({ hits, of }: CountedRate): string => (of === 0 ? "–" : `${hits} of ${of}`);
  const color = { good: paint.green, watch: paint.yellow, bad: paint.red };
  say(
    table(
      [
        "class",
        "pictures",
        "verdict",
        "right",
        "95 % interval",
        "wrong",
        "unknown",
        "ambiguous",
        "confidence",
        "nearest other",
      ],
      classes.map((one) => [
        oneLine(one.label),
        one.pictures,
        color[one.verdict](one.verdict),
        share(one.right),
        `${percent(one.right.interval[0], 0)} to ${percent(one.right.interval[1], 0)}`,
        share(one.wrong),
        share(one.unknown),
        share(one.ambiguous),
        one.meanConfidence.toFixed(2),
        one.confusable ? `${oneLine(one.confusable.label)} (${one.confusable.pictures})` : "",
      ]),
      paint,
    ),
  );
  const todo = classes.filter((one) => one.todo !== null);
  if (todo.length > 0) say("");
  for (const one of todo) say(`${color[one.verdict](oneLine(one.label))}: ${oneLine(one.todo!)}`);
  const bad = classes.filter(({ verdict }) => verdict === "bad").length;
  say(`\n${plural(classes.length, "class", "classes")}, ${bad} bad`);
}
