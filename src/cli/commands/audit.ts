import { type Command, InvalidArgumentError } from "commander";
import { ProtolineError, quote } from "../../core/index.ts";
import { auditKey } from "../audit.ts";
import { action, type Context, examples } from "../context.ts";
import { positiveInteger } from "../parse.ts";
import { oneLine, plural, table } from "../text.ts";

interface Head {
  readonly seq: number;
  readonly hash: string;
}

function parseHead(text: string): Head {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  if (!match) throw new InvalidArgumentError("It must be NUMBER:HASH, as verify printed it before.");
  return { seq: Number(match[1]), hash: match[2]! };
}

export function audit(program: Command): void {
  const group = program
    .command("audit")
    .description("the log of changes that serve --audit and PROTOLINE_AUDIT write");

  group
    .command("verify")
    .description(
      "find a line that was changed, removed, moved or cut; full files beside the log are read too",
    )
    .argument("<file>", "the log; its key, if it has one, is in PROTOLINE_AUDIT_KEY")
    .option("--head <n:hash>", "a last line that was noted elsewhere, which must still be there", parseHead)
    .addHelpText(
      "after",
      examples(
        ["protoline audit verify audit.jsonl", "whole? and its last line, to note elsewhere"],
        ["protoline audit verify audit.jsonl --head 412:9f…", "nothing was cut off or rewritten since"],
      ),
    )
    .action(action<[string], { head?: Head }>((context, [file], { head }) => verify(context, file, head)));

  group
    .command("show")
    .description("the changes, oldest first, as far as the log is whole")
    .argument("<file>", "the log")
    .option("--last <n>", "the last changes alone", positiveInteger)
    .addHelpText("after", examples(["protoline audit show audit.jsonl --last 20", "the last twenty"]))
    .action(action<[string], { last?: number }>((context, [file], { last }) => show(context, file, last)));
}

async function verify(context: Context, file: string, expected: Head | undefined): Promise<void> {
  const { verifyAudit } = await import("../../audit/index.ts");
  const report = await verifyAudit(file, { key: auditKey(), ...(expected && { expected }) });
  const { files, lines, head, open, problem } = report;
  if (problem)
    throw new ProtolineError("AUDIT_BROKEN", {
      expected: "each line to follow on the one before",
      got: `line ${problem.line} of ${quote(problem.file, 300)}: ${problem.wrong}`,
      todo: `Sound up to line ${lines}. Keep the files as they are, and compare them with a copy.`,
    });
  if (context.json) return context.print(JSON.stringify(report));
  context.print(`whole: ${plural(lines, "line")} in ${plural(files.length, "file")}`);
  context.print(`head ${head.seq}:${head.hash}`);
  if (open.length > 0)
    context.note(`begun and not ended, as the process was stopped in between: line ${open.join(", ")}`);
}

async function show(context: Context, file: string, last: number | undefined): Promise<void> {
  const { readAudit } = await import("../../audit/index.ts");
  const lines = [];
  for await (const read of readAudit(file, auditKey())) {
    if ("problem" in read) {
      context.warn(`not whole from here on: line ${read.problem.line} of ${file}: ${read.problem.wrong}`);
      break;
    }
    lines.push(read.line);
  }
  const ended = new Map(lines.map(({ event }) => [event.of, event.outcome]));
  const changes = lines.filter(({ event }) => event.phase !== "end").slice(last === undefined ? 0 : -last);
  if (context.json) {
    for (const line of changes)
      context.print(JSON.stringify({ ...line, outcome: ended.get(line.seq) ?? null }));
    return;
  }
  context.print(
    table(
      ["line", "time (UTC)", "who", "what", "gallery", "outcome", "reason"],
      changes.map(({ seq, time, event }) => [
        String(seq),
        time.slice(0, 19).replace("T", " "),
        oneLine(event.who),
        event.action,
        event.gallery ?? "",
        event.phase === "note" ? "" : (ended.get(seq) ?? "not ended"),
        oneLine(event.reason ?? ""),
      ]),
      context.paint,
    ),
  );
}
