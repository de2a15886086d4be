import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { listClasses } from "../src/data/index.ts";
import { planReplay, type Rate, replay, summarizeReplay } from "../src/line/index.ts";
import { createLineLearner, type Recognition, Recognizer } from "../src/recognizer/index.ts";
import { openPool } from "../src/serving/index.ts";
import { percent, publish } from "./results.ts";

/**
 * The story of a line on real pictures: three classes known, the others appearing one after another, a reviewer who
 * works the tray. `replay.ts --mirror ../shared/models`.
 */
const { values } = parseArgs({
  options: {
    mirror: { type: "string", default: "../shared/models" },
    models: { type: "string", default: "compact,mobilenet-v1,scattering" },
    seed: { type: "string", default: "1" },
  },
});
const seed = Number(values.seed);
const shared = fileURLToPath(new URL("../../shared/datasets", import.meta.url));
const lines = [
  { name: "X-SDD", folder: "x-sdd/images", every: 120 },
  { name: "coins", folder: "coins/images", every: 30 },
] as const;

const rate = ({ share, interval, of }: Rate): string =>
  share === null ? "–" : `${percent(share)} (${percent(interval[0])} to ${percent(interval[1])}) of ${of}`;
const part = ({ hits, of }: Rate): string => (of === 0 ? "–" : `${hits} of ${of}`);

const totals: string[][] = [];
const latencies: string[][] = [];
const tables: { title: string; columns: string[]; rows: string[][] }[] = [];
const data: unknown[] = [];
for (const model of values.models.split(","))
  for (const [{ name, folder, every }, learns] of lines.flatMap((line) => [
    [line, false] as const,
    [line, true] as const,
  ])) {
    const { classes } = await listClasses(join(shared, folder));
    const plan = planReplay({ classes, known: 3, every, frames: 1000, seed });
    const encoder = await openPool(model, { sources: { cache: "none", mirror: values.mirror }, workers: 2 });
    const recognizer = await Recognizer.open({ model: encoder, store: "memory:", gallery: "replay" });
    /** By the bytes of the frame. */
    const answers = new Map<unknown, Recognition>();
    const learner = createLineLearner(recognizer, (error) => {
      throw error;
    });
    const result = await replay({
      plan,
      target: {
        recognize: async (image) => {
          const answer = await recognizer.recognize(image);
          if (learns) learner.observe(answer);
          answers.set(image, answer);
          return answer;
        },
        enroll: async (label, images) => {
          // What the reviewer gives a name was answered unknown: it is learned from as a picture, not as a frame.
          for (const image of images) {
            const answer = answers.get(image);
            if (answer) learner.withdraw(answer);
          }
          return recognizer.enroll(label, images, { who: "replay" });
        },
      },
    });
    await learner.settled();
    await recognizer.close();
    await encoder.close();
    const summary = summarizeReplay(result, plan);
    const { recognized, wrong, falseUnknown, caught, frames, phases, latency, latencyOnboarding } = summary;
    const first = phases[0]!.right;
    const last = phases.at(-1)!.right;
    totals.push([
      name,
      model,
      learns ? "yes" : "no",
      String(frames),
      rate(recognized),
      rate(falseUnknown),
      rate(wrong),
      rate(caught),
      rate(first),
      rate(last),
    ]);
    for (const [what, { frames: of, p50, p95, p99 }] of [
      ["all", latency],
      ["while pictures were enrolled", latencyOnboarding],
    ] as const)
      latencies.push([
        name,
        model,
        learns ? "yes" : "no",
        what,
        String(of),
        ...[p50, p95, p99].map((ms) => ms.toFixed(1)),
      ]);
    tables.push({
      title: `${name}, ${model}${learns ? ", limits learned from the line" : ""}`,
      columns: [
        "class",
        "appears",
        "known at",
        "frames until known",
        "of them caught",
        "then recognized",
        "wrong",
        "false unknown",
      ],
      rows: summary.classes.map((one) => [
        one.label,
        String(one.appeared),
        one.known === null ? "never" : String(one.known),
        String(one.framesUntilKnown),
        part(one.caught),
        part(one.recognized),
        part(one.wrong),
        part(one.falseUnknown),
      ]),
    });
    data.push({ name, model, learns, ...summary, onboarded: result.onboarded });
    console.error(totals.at(-1)!.join(" | "));
  }

await publish({
  name: "replay",
  title: "A line, replayed",
  about: [
    "Three classes are known from ten pictures each, the others appear one after another (X-SDD: every 120 frames; coins: every 30). All classes that have appeared are equally likely in a frame, no picture comes twice. Frames that are not known go to the tray; a reviewer who never errs waits for ten of one class and assigns them, while the line goes on. He does not see frames that were given a wrong name. Default decisions, nothing tuned; with and without limits that the line's own frames refine (docs/line.md). In brackets 95 % intervals (Wilson).",
    "`recognized`, `false unknown` (ambiguous is counted there) and `wrong` are of the frames whose class was known by then; `caught` of those whose class was not. `right at first` and `right at last` are of all frames before the first new class and after the last one appeared.",
    "Coins are crops of photographs, several of one photograph among them: their figures say how a replay goes, not how well coins are told apart (see table.md).",
  ],
  tables: [
    {
      columns: [
        "line",
        "model",
        "learns from the line",
        "frames",
        "recognized",
        "false unknown",
        "wrong",
        "caught",
        "right at first",
        "right at last",
      ],
      rows: totals,
    },
    {
      title: "Latency in milliseconds, pictures embedded by two worker threads of one process",
      columns: ["line", "model", "learns from the line", "frames", "how many", "p50", "p95", "p99"],
      rows: latencies,
    },
    ...tables,
  ],
  seed,
  data,
});
