import type { Command } from "commander";
import type { DecisionSpec, TuneReport, ViewKind } from "../../fewshot/index.ts";
import { action, type Context, examples } from "../context.ts";
import { decisionText } from "../decision-text.ts";
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
  readonly dryRun?: boolean;
}

/** Candidates that are shown. */
const shown = 5;

export function tune(program: Command): void {
  program
    .command("tune")
    .description("choose transform, head and unknown score on the gallery's own pictures, and say why")
    .option(
      "--views [list]",
      "try turned, mirrored or recoloured views of the pictures too (default: dihedral,color)",
      parseViews,
    )
    .option("--orientation-matters", "a part that is turned or mirrored is another part: no such views")
    .option("--color-matters", "a part of another colour is another part: no such views")
    .option(
      "--false-reject <share>",
      "known parts that may be called unknown, as 0.05: sets the thresholds",
      share,
    )
    .option(
      "--margin <share>",
      "ambiguous when first and second are nearer than this, as 0.1; 0 for never",
      shareOrZero,
    )
    .option("--dry-run", "say what would be chosen and change nothing")
    .addHelpText(
      "after",
      `${examples(
        ["protoline tune --dry-run", "what would it choose?"],
        ["protoline tune --views --color-matters", "may add turned views, one embedding each"],
        ["protoline tune --false-reject 0.01", "call fewer known parts unknown"],
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
    const { chosen, report } = await recognizer.tune({ views, apply: false, who: context.who });
    const decision: DecisionSpec = {
      ...chosen,
      openSet: { ...chosen.openSet, falseRejectRate: flags.falseReject ?? chosen.openSet.falseRejectRate },
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
    printReport(context, report);
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
function reasonOf({ falseReject, margin }: TuneFlags, { summary }: TuneReport): string {
  const asked = [
    ...(falseReject === undefined ? [] : [`${percent(falseReject)} false rejects`]),
    ...(margin === undefined ? [] : [`margin ${margin}`]),
  ];
  return `tune${asked.length > 0 ? ` (asked for ${asked.join(", ")})` : ""}: ${summary}`;
}

function printReport({ print, paint }: Context, { heads, scores }: TuneReport): void {
  print(
    table(
      ["transform and head", "named right", "95 % interval", "won", "lost", "chance"],
      heads
        .slice(0, shown)
        .map(({ views, transform, head, accuracy, interval, won, lost, p }) => [
          headText({ views, transform, head }),
          percent(accuracy),
          interval.map((value) => percent(value)).join(" … "),
          won,
          lost,
          p.toFixed(3),
        ]),
      paint,
    ),
  );
  print("");
  const judged = scores.filter(({ auroc }) => Number.isFinite(auroc));
  if (judged.length === 0) return;
  print(
    table(
      ["unknown told by", "AUROC", "±", "gain", "chance"],
      judged
        .slice(0, shown)
        .map(({ score, transform, auroc, ci95, gain, p }) => [
          transform.power === null ? score : `${score}, power ${transform.power}`,
          percent(auroc),
          percent(ci95),
          percent(gain),
          p.toFixed(3),
        ]),
      paint,
    ),
  );
  print("");
}

function headText({ views, transform, head }: Pick<DecisionSpec, "views" | "transform" | "head">): string {
  const parts = [
    ...(transform.power === null ? [] : [`power ${transform.power}`]),
    ...(transform.center === "none" ? [] : [`centred (${transform.center})`]),
    head.kind === "ridge" ? `ridge λ ${head.lambda}` : `prototype ${head.metric}`,
    ...(views.support.length > 0 ? [`views ${views.support.join("+")}`] : []),
    ...(views.query.length > 0 ? ["frame views too"] : []),
  ];
  return parts.join(", ");
}
