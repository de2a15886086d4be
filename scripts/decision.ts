/**
 * The decision measured: galleries of unequal and of equal classes, unknown parts, one class alone, and how far confidence
 * is right. Two processes measure beside each other. `--episodes N` for a quick look; `--only X-SDD`, `--only compact` for a
 * part (then nothing is written).
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { defaultDecision, meanAndInterval } from "../src/fewshot/index.ts";
import { formatTransform } from "../src/train/index.ts";
import {
  aloneMeasured,
  aloneQueries,
  type Entry,
  type Head,
  heads,
  type Job,
  type MeasuredRow,
  sizesMeasured,
} from "./decision/measure.ts";
import { options, percent, publish } from "./results.ts";

const { episodes, seed, only } = options({ episodes: 200 });
const started = performance.now();
/** Those that take longest first. */
const jobs: Job[] = (["X-SDD", "coins"] as const)
  .flatMap((set) => ["compact", "mobilenet-v1"].map((model) => ({ set, model, episodes, seed })))
  .filter(({ set, model }) => only === undefined || only === set || only === model);

const entries: Entry[] = [];
const plusMinus = (mean: number, ci95: number): string => `${percent(mean)} ± ${percent(ci95)}`;

function briefly(entry: Entry): string {
  if (entry.table === "alone")
    return `${entry.pictures} alone | false reject ${percent(meanAndInterval(entry.falseRejects).mean)} | caught ${percent(meanAndInterval(entry.caught).mean)}`;
  if (entry.table === "impossible") return `${entry.sizes.join(":")} | ${entry.message}`;
  const { sizes, way, shot, balanced, balancedCi95, falseReject, caught } = entry.row;
  return [
    sizes?.join(":") ?? `${way}-way, shot ${shot}`,
    plusMinus(balanced, balancedCi95),
    `false reject ${percent(falseReject)}`,
    ...(caught === undefined ? [] : [`caught ${percent(caught)}`]),
  ].join(" | ");
}

function inChild(job: Job): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL("./decision/child.ts", import.meta.url)), [], {
      serialization: "advanced",
    });
    child.on("message", (entry: Entry) => {
      entries.push(entry);
      const s = ((performance.now() - started) / 1000).toFixed(0);
      process.stderr.write(`${entry.data} | ${entry.model} | ${entry.head} | ${briefly(entry)} | ${s} s\n`);
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${job.set}, ${job.model}: its process ended with ${code}`));
    });
    child.send(job);
  });
}

const waiting = [...jobs];
await Promise.all(
  [1, 2].map(async () => {
    for (let job = waiting.shift(); job; job = waiting.shift()) await inChild(job);
  }),
);

// In an order that does not depend on which process was quicker.
const place = ({ data, model, head }: Entry): string =>
  `${jobs.findIndex((job) => data.startsWith(job.set) && job.model === model)} ${data.endsWith("at random")} ${heads.indexOf(head)}`;
entries.sort((a, b) => place(a).localeCompare(place(b)));
const rowsOf = (table: MeasuredRow["table"]): MeasuredRow[] =>
  entries.filter((entry): entry is MeasuredRow => entry.table === table);
/** Data and encoder of some entries, each once. */
const subjects = (of: readonly Entry[]): (readonly [data: string, model: string])[] =>
  [...new Set(of.map(({ data, model }) => JSON.stringify([data, model])))].map((text) => JSON.parse(text));
const headNames = heads.map((head) => (head === "prototype" ? "prototype, cosine" : head));
/** Heads as they decide what is unknown. */
const openName = (head: Head): string => (head === "prototype" ? "prototype, cosine; ridge" : head);

function sizesTable() {
  const all = rowsOf("sizes");
  return {
    title: "Classes of unequal size",
    columns: [
      "data",
      "encoder",
      "pictures",
      ...headNames,
      ...headNames.map((name) => `worst: ${name}`),
      "tasks",
    ],
    rows: subjects(all).flatMap(([data, model]) =>
      sizesMeasured.map((sizes) => {
        const of = heads.flatMap((head) => {
          const entry = all.find(
            ({ row, ...one }) =>
              one.data === data &&
              one.model === model &&
              one.head === head &&
              row.sizes!.join() === sizes.join(),
          );
          return entry ? [entry.row] : [];
        });
        const start = [data, model, sizes.join(":")];
        if (of.length === 0)
          return [...start, "impossible", ...Array<string>(2 * heads.length - 1).fill("–"), "0"];
        return [
          ...start,
          ...of.map(({ balanced, balancedCi95 }) => plusMinus(balanced, balancedCi95)),
          ...of.map(({ worst }) => percent(worst)),
          String(of[0]!.episodes),
        ];
      }),
    ),
    notes: [
      "Balanced accuracy: the mean over the task's classes of the share of their queries whose nearest class is right. Worst: the lowest of these shares, a mean over tasks. The heads have the same tasks. A class of so many pictures is drawn among those that have as many and 15 more; *impossible*: the data set has none.",
    ],
  };
}

/** A column for each shot. */
function shotTable(title: string, cell: (row: MeasuredRow["row"]) => string, note: string) {
  const all = rowsOf("equal");
  const shots = [...new Set(all.map(({ row }) => row.shot))];
  return {
    title,
    columns: ["data", "encoder", "head", ...shots.map((shot) => `${shot} ${shot === 1 ? "shot" : "shots"}`)],
    rows: subjects(all).flatMap(([data, model]) =>
      heads.map((head, h) => [
        data,
        model,
        headNames[h]!,
        ...all
          .filter((one) => one.data === data && one.model === model && one.head === head)
          .map(({ row }) => cell(row)),
      ]),
    ),
    notes: [note],
  };
}

function openTable() {
  return {
    title: "Unknown parts: 3 known classes, 4 unknown",
    columns: [
      ...["data", "encoder", "head", "pictures a class"],
      ...["false reject", "spread", "caught", "spread", "AUROC", "tasks"],
    ],
    rows: rowsOf("open").map(({ data, model, head, row }) => [
      ...[data, model, openName(head), String(row.shot)],
      plusMinus(row.falseReject, row.falseRejectCi95),
      percent(row.falseRejectSpread),
      plusMinus(row.caught!, row.caughtCi95!),
      ...[row.caughtSpread!, row.auroc!].map(percent),
      String(row.episodes),
    ]),
    notes: [
      `False reject: known queries called unknown, where ${percent(defaultDecision.openSet.falseRejectRate)} % are stated. Caught: unknown queries called unknown. Spread: the standard deviation over tasks, of 45 known and 60 unknown queries each. The ridge head decides unknown by the cosine to the prototypes, so that it has the figures of that head.`,
    ],
  };
}

/** The mean of the highest tenth, at least of one. */
function worstTenth(shares: readonly number[]): number {
  const highest = [...shares].sort((a, b) => b - a).slice(0, Math.max(1, Math.floor(shares.length / 10)));
  return meanAndInterval(highest).mean;
}

/** The mean of the highest tenth of shares of `n` queries, each called unknown with probability `rate`, by chance alone. */
function worstTenthByChance(n: number, rate: number): number {
  const chances = [(1 - rate) ** n];
  for (let k = 1; k <= n; k++) chances.push((chances[k - 1]! * (n - k + 1) * rate) / (k * (1 - rate)));
  let left = 0.1;
  let sum = 0;
  for (let k = n; k >= 0 && left > 0; k--) {
    const taken = Math.min(left, chances[k]!);
    sum += (taken * k) / n;
    left -= taken;
  }
  return sum / 0.1;
}

function aloneTable() {
  const rate = defaultDecision.openSet.falseRejectRate;
  return {
    title: "One class alone",
    columns: ["data", "encoder", "head", "pictures", "false reject", "worst tenth", "caught", "galleries"],
    rows: entries
      .filter((entry) => entry.table === "alone")
      .map(({ data, model, head, pictures, falseRejects, caught }) => {
        const [own, others] = [falseRejects, caught].map(meanAndInterval);
        return [
          ...[data, model, openName(head), String(pictures)],
          plusMinus(own!.mean, own!.ci95),
          percent(worstTenth(falseRejects)),
          plusMinus(others!.mean, others!.ci95),
          String(falseRejects.length),
        ];
      }),
    notes: [
      `Galleries of one class of ${aloneMeasured.slice(0, -1).join(", ")} or ${aloneMeasured.at(-1)} pictures, drawn from the classes that have ${aloneQueries} more, asked about ${aloneQueries} further pictures of it and ${aloneQueries} of each of the others. Worst tenth: the mean false reject of the tenth of galleries with the most; of limits that are exactly right, chance alone would show ${percent(worstTenthByChance(aloneQueries, rate))} there.`,
    ],
  };
}

const transforms = subjects(entries).map(
  ([, model]) =>
    `${model}: ${formatTransform(entries.find((entry) => entry.model === model)!.decision.transform)}`,
);
if (only === undefined)
  await publish({
    name: "decision",
    title: "The decision",
    about: [
      `Three heads on the same tasks, each with the encoder's own transform (${[...new Set(transforms)].join("; ")}); 15 queries a class unless said otherwise, in percent; ± is 1.96·s/√n over tasks. Equal tasks for each data set and encoder.`,
      "Coins: a photograph shows several. *Photographs apart*: no photograph is shown and asked about in one task, and the pictures of one are left out together when the decision calibrates itself. *Crops at random*: without regard to photographs, to compare with figures of others.",
    ],
    tables: [
      sizesTable(),
      shotTable(
        "Classes of equal size: accuracy, 5-way",
        ({ balanced, balancedCi95 }) => plusMinus(balanced, balancedCi95),
        "The nearest class is right, whether or not the query is called unknown.",
      ),
      openTable(),
      aloneTable(),
      shotTable(
        "Confidence: expected calibration error, 5-way",
        ({ ece }) => ece.toFixed(3),
        "15 bins, over all queries of the tasks above; in fractions of 1.",
      ),
    ],
    seed,
    data: entries,
  });
