import { stat, writeFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import { ProtolineError, quote } from "../../core/index.ts";
import type { Evaluated, Language, Run } from "../../report/index.ts";
import { action, type Context, examples } from "../context.ts";
import { bytesText, plural } from "../text.ts";

interface ReportFlags {
  readonly out: string;
  readonly lang: Language;
  readonly title?: string;
}

export function report(program: Command): void {
  program
    .command("report")
    .description("make one HTML page with plots from training runs and evaluations")
    .argument("<sources...>", "folders of training runs, and files that evaluate --json printed")
    .option("-o, --out <file>", "the page; one that is there is replaced", "report.html")
    .addOption(new Option("--lang <language>", "of headings and labels").choices(["en", "zh"]).default("en"))
    .option("--title <text>", "heading of the page (default: the names of what is in it)")
    .addHelpText(
      "after",
      `${examples(
        ["protoline report runs/omniglot-conv4-60w5s", "curves of a training, also of one under way"],
        ["protoline evaluate parts/ --json > eval.json", "an evaluation to report on"],
        ["protoline report runs/omniglot-conv4-60w5s eval.json -o r.html", "both on one page"],
        ["protoline report before.json after.json --lang zh", "two evaluations compared, in Chinese"],
      )}\n\nThe page needs no other file, no script and no network.`,
    )
    .action(action<[readonly string[]], ReportFlags>(run));
}

async function run(context: Context, [sources]: [readonly string[]], flags: ReportFlags): Promise<void> {
  const { readEvaluations, readRun, renderReport } = await import("../../report/index.ts");
  const runs: Run[] = [];
  const evaluations: Evaluated[] = [];
  for (const source of sources) {
    const folder = await stat(source).then(
      (entry) => entry.isDirectory(),
      () => false,
    );
    if (folder) runs.push(await readRun(source));
    else evaluations.push(...(await readEvaluations(source)));
  }
  const page = renderReport({
    runs,
    evaluations,
    language: flags.lang,
    ...(flags.title !== undefined && { title: flags.title }),
  });
  await writeFile(flags.out, page).catch((error) => {
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a file that can be written, for --out",
      got: quote(flags.out, 200),
      todo: "Name a file in a folder that is there and may be written to.",
      cause: error,
    });
  });
  const bytes = Buffer.byteLength(page);
  if (context.json) {
    context.print(
      JSON.stringify({ report: flags.out, runs: runs.length, evaluations: evaluations.length, bytes }),
    );
    return;
  }
  const parts = [
    ...(runs.length > 0 ? [plural(runs.length, "run")] : []),
    ...(evaluations.length > 0 ? [plural(evaluations.length, "evaluation")] : []),
  ];
  context.print(`${flags.out}: ${parts.join(" and ")}, ${bytesText(bytes)}`);
}
