import type { Command } from "commander";
import type { DecisionSpec, TuneReport, ViewKind } from "../../fewshot/index.ts";
import { action, type Context, examples } from "../context.ts";
import { decisionText, headText } from "../decision-text.ts";
import { printExpected } from "../expected-text.ts";
import { noteOlderDecision } from "../older-decision.ts";
import { parseViews, share, shareOrZero } from "../parse.ts";
import { withRecognizer } from "../resources.ts";
import { percent, table } from "../text.ts";

interface TuneFlags {
  /** True without a list. */
  readonly views?: true | readonly ViewKind[];
  readonly orientationMatters?: boolean;
  readonly colorMatters?: boolean;
  readonly falseReject?: number;
  readonly margin?: number;
  readonly default?: boolean;
  readonly dryRun?: boolean;
}

/** Candidates that are shown. */
const shown = 5;

export function tune(program: Command): void {
  program
    .command("tune")
    .description(
      "choose transform and head on the gallery's own pictures, and say what to expect of known and unknown parts",
    )
    .option(
      "--views [list]",
      "try turned, mirrored or recoloured views of the pictures too (default: dihedral,color)",
      parseViews,
    )
    .option("--orientation-matters", "a part that is turned or mirrored is another part: no such views")
    .option("--color-matters", "a part of another colour is another part: no such views")
    .option(
      "--false-reject <share>",
      "known parts that may be called unknown, as 0.05: sets the limits",
      share,
    )
    .option(
      "--margin <share>",
      "ambiguous when first and second are nearer than this, as 0.1; 0 for never",
      shareOrZero,
    )
    .option("--default", "take the decision that a new gallery of this model starts with, whatever is in use")
    .option("--dry-run", "say what would be chosen and change nothing")
    .addHelpText(
      "after",
      `${examples(
        ["protoline tune --dry-run", "what would it choose?"],
        ["protoline tune --views --color-matters", "may add turned views, one embedding each"],
        ["protoline tune --false-reject 0.01", "call fewer known parts unknown"],
        ["protoline tune --default", "leave an older decision for today's"],
      )}\n\nEach picture is left out in turn and named by the others; each class is left out in turn and must look unknown. What\nis in use stays, unless another choice is better beyond noise. The change is a revision: gallery rollback takes it back.`,
    )
    .action(action<[], TuneFlags>((context, _, flags) => run(context, flags)));
}

/** The views that may be tried: never those that would hide what the user said matters. */
function allowedViews({ views, orientationMatters, colorMatters }: TuneFlags): ViewKind[] {
  if (views === undefined) return [];
  const asked: readonly ViewKind[] = views === true ? ["dihedral", "color"] : views;
  return asked.filter(
    (kind) => !(kind === "dihedral" && orientationMatters) && !(kind === "color" && colorMatters),
  );
}

async function run(context: Context, flags: TuneFlags): Promise<void> {
  const views = allowedViews(flags);
  await withRecognizer(context, "existing", async (recognizer) => {
    const before = recognizer.decision;
    if (views.length > 0) context.note(`every picture is embedded again with its views: ${views.join(", ")}`);
    const { chosen, report } = await recognizer.tune({
      views,
      apply: false,
      who: context.who,
      ...(flags.falseReject !== undefined && { falseRejectRate: flags.falseReject }),
      ...(flags.default && { from: recognizer.encoder.manifest.decision, choose: false }),
    });
    const decision: DecisionSpec = {
      ...chosen,
      ambiguity: { margin: flags.margin ?? chosen.ambiguity.margin },
    };
    const differs = JSON.stringify(decision) !== JSON.stringify(before);
    const applied = differs && !flags.dryRun;
    if (applied)
      await recognizer.setDecision(decision, { who: context.who, reason: reasonOf(flags, report) });
    const revision = recognizer.revision.number;
    if (context.json) {
      const { gallery } = context;
      context.print(JSON.stringify({ gallery, revision, applied, before, chosen: decision, report }));
      return;
    }
    if (!flags.default) noteOlderDecision(context, recognizer);
    printReport(context, report, decision.openSet.falseRejectRate);
    context.print(report.summary);
    if (differs) context.print(`before  ${decisionText(before)}`);
    context.print(`${differs ? "after   " : "stays   "}${decisionText(decision)}`);
    context.note(
      applied
        ? `gallery "${context.gallery}" is at revision ${revision}`
        : differs
          ? "nothing was changed (--dry-run)"
          : "nothing was changed",
    );
  });
}

/** For the history: what was asked for, and what was found. */
function reasonOf({ falseReject, margin, default: asNew }: TuneFlags, { summary }: TuneReport): string {
  const asked = [
    ...(asNew ? ["the default"] : []),
    ...(falseReject === undefined ? [] : [`${percent(falseReject)} false rejects`]),
    ...(margin === undefined ? [] : [`margin ${margin}`]),
  ];
  return `tune${asked.length > 0 ? ` (asked for ${asked.join(", ")})` : ""}: ${summary}`;
}

function printReport(context: Context, { heads, predicted }: TuneReport, rate: number): void {
  const { print, paint } = context;
  if (heads.length > 0) {
    print(
      table(
        ["transform and head", "named right", "95 % interval", "won", "lost", "chance"],
        heads
          .slice(0, shown)
          .map(({ views, transform, head, right, won, lost, p }) => [
            choiceText({ views, transform, head }),
            percent(right.hits / right.of),
            right.interval.map((value) => percent(value)).join(" … "),
            won,
            lost,
            p.toFixed(3),
          ]),
        paint,
      ),
    );
    print("");
  }
  printExpected(context, predicted.open, rate);
  print("");
}

function choiceText({ views, transform, head }: Pick<DecisionSpec, "views" | "transform" | "head">): string {
  const parts = [
    ...(transform.power === null ? [] : [`power ${transform.power}`]),
    ...(transform.center === "none" ? [] : [`centred (${transform.center})`]),
    headText(head),
    ...(views.support.length > 0 ? [`views ${views.support.join("+")}`] : []),
    ...(views.query.length > 0 ? ["frame views too"] : []),
  ];
  return parts.join(", ");
}
