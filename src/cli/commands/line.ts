import type { Command } from "commander";
import { isProtolineError, quote } from "../../core/index.ts";
import type { LineConfig, LineResult } from "../../line/index.ts";
import { action, type Context, examples } from "../context.ts";
import { errorObject, partlyDone } from "../exit.ts";
import { readLine } from "../line-file.ts";
import { withRecognizer } from "../resources.ts";
import { stopSignal } from "../signals.ts";
import { oneLine, plural } from "../text.ts";

/** How often changes that others made to the gallery are looked for. */
const followMs = 500;
/** Exit code of a line that cannot run: unavailable, as doctor's. */
const unfit = 7;

export function line(program: Command): void {
  const group = program
    .command("line")
    .description(
      "pictures in, answers out, as a file describes: folders, MQTT, HTTP, WebSockets and cameras to files, SQLite, MQTT and webhooks",
    );
  group
    .command("run")
    .description("run the line until SIGINT or SIGTERM; what has come in is answered before it ends")
    .argument("<file>", "the description, YAML or JSON; docs/line.md lists its fields")
    .option("--no-learn-limits", "keep the limits of classes as their pictures say, whatever the frames show")
    .addHelpText(
      "after",
      `${examples(
        ["protoline line check line.yaml", "first: is everything there?"],
        ["protoline line run line.yaml", "one line an answer"],
        ["protoline line run line.yaml --json --quiet", "JSON Lines, as the sinks get them"],
      )}\n\nThe gallery may be changed meanwhile, by protoline enroll or a server on the same store: the next frame is compared with it.`,
    )
    .action(action<[string], RunFlags>((context, [file], flags) => run(context, file, flags)));
  group
    .command("check")
    .description("look at every source and sink of a line, without running it and without changing anything")
    .argument("<file>", "the description, YAML or JSON")
    .addHelpText("after", `\nExit code 0 when the line can run, ${unfit} otherwise.`)
    .action(action<[string], object>((context, [file]) => check(context, file)));
  group
    .command("resend")
    .description("give the dead letters of a line to their sinks again; what fails stays a dead letter")
    .argument("<file>", "the description, YAML or JSON")
    .action(
      action<[string], object>(async (context, [file]) => {
        const { resendDeadLetters } = await import("../../line/index.ts");
        const report = await resendDeadLetters(await readLine(file), process.env);
        if (context.json) context.print(JSON.stringify(report));
        else context.print(`${plural(report.delivered, "result")} delivered, ${report.left} left`);
        return report.left > 0 ? partlyDone : 0;
      }),
    );
}

/** The gallery is the file's, unless the command names another. */
const atLine = (context: Context, { gallery }: LineConfig): Context =>
  context.galleryNamed ? context : { ...context, gallery };

interface RunFlags {
  /** False with --no-learn-limits. */
  readonly learnLimits: boolean;
}

async function run(context: Context, path: string, { learnLimits }: RunFlags): Promise<void> {
  const [{ runLine }, { createLineLearner }] = await Promise.all([
    import("../../line/index.ts"),
    import("../../recognizer/index.ts"),
  ]);
  const config = await readLine(path);
  const inner = atLine(context, config);
  await withRecognizer(inner, "existing", async (recognizer) => {
    const stop = new AbortController();
    void stopSignal().then(() => {
      context.note("stopping: what has come in is answered");
      stop.abort();
    });
    let storeDown = false;
    let asking = false;
    const following = setInterval(() => {
      // A store that says nothing at all is not asked again and again meanwhile.
      if (asking) return;
      asking = true;
      recognizer
        .refresh()
        .then(
          () => {
            if (storeDown) context.note("the store answers again");
            storeDown = false;
          },
          (error: unknown) => {
            if (!storeDown)
              context.warn(
                `the store does not answer; revision ${recognizer.revision.number} goes on answering: ${(error as Error).message}`,
              );
            storeDown = true;
          },
        )
        .finally(() => {
          asking = false;
        });
    }, followMs);
    try {
      context.note(
        `line ${quote(config.name)}: gallery ${quote(inner.gallery)}, revision ${recognizer.revision.number}`,
      );
      const { manifest, modelHash } = recognizer.encoder;
      const learner = learnLimits
        ? createLineLearner(recognizer, (error) =>
            context.warn(`a limit that the line moved could not be written: ${(error as Error).message}`),
          )
        : null;
      const report = await runLine({
        config,
        env: process.env,
        signal: stop.signal,
        recognize: async (image) => {
          const answer = await recognizer.recognize(image);
          learner?.observe(answer);
          return answer;
        },
        lineage: () => ({
          model: manifest.name,
          modelHash,
          gallery: inner.gallery,
          revision: recognizer.revision.number,
        }),
        report: (event) => context.warn(oneLine(event)),
        onResult: (result) => context.print(context.json ? JSON.stringify(result) : told(result, context)),
      });
      await learner?.settled();
      context.note(
        `${plural(report.frames, "frame")}: ${report.known} known, ${report.unknown} unknown, ${report.ambiguous} ambiguous, ${report.errors} not read; ${report.repeated} came again, ${report.dead} in the dead letters`,
      );
    } finally {
      clearInterval(following);
    }
  });
}

function told({ time, origin, part, answer, ms }: LineResult, { paint }: Context): string {
  const where = oneLine(part === undefined ? origin : `${part} (${origin})`);
  if (answer.kind === "error") return `${time}  ${paint.red("error    ")}  ${answer.code}  ${where}`;
  const color = { known: paint.green, ambiguous: paint.yellow, unknown: paint.red }[answer.kind];
  const best = answer.label ?? `(${answer.candidates[0]?.label ?? ""})`;
  // Of an unknown part a confidence says nothing; how far it is beyond the limit does.
  const how =
    answer.kind === "unknown" && answer.threshold !== null
      ? `${(answer.distance / answer.threshold).toFixed(2)}×`
      : answer.confidence.toFixed(2);
  return `${time}  ${color(answer.kind.padEnd(9))}  ${oneLine(best)}  ${how}  ${ms.toFixed(1)} ms  ${where}`;
}

async function check(context: Context, path: string): Promise<number> {
  const { checkLine } = await import("../../line/index.ts");
  const config = await readLine(path);
  const gallery = {
    name: `gallery ${atLine(context, config).gallery}`,
    found: await withRecognizer(atLine(context, config), "existing", async ({ revision, samples }) => {
      if (samples.length > 0) return `revision ${revision.number}, ${plural(samples.length, "picture")}`;
      return new Error("it holds no classes yet: enroll some pictures first");
    }).catch((error: unknown) => error as Error),
  };
  const found = [gallery, ...(await checkLine(config, process.env))];
  const bad = found.filter((one) => one.found instanceof Error);
  if (context.json)
    context.print(
      JSON.stringify(
        found.map(({ name, found: what }) =>
          what instanceof Error
            ? {
                name,
                state: "bad",
                error: isProtolineError(what) ? errorObject(what) : { message: what.message },
              }
            : { name, state: "ok", found: what },
        ),
      ),
    );
  else
    for (const { name, found: what } of found) {
      const state = what instanceof Error ? context.paint.red("bad ") : context.paint.green("ok  ");
      context.print(`${state}  ${oneLine(name)}  ${oneLine(what instanceof Error ? what.message : what)}`);
    }
  return bad.length > 0 ? unfit : 0;
}
