import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { publish } from "./results.ts";
import { drawSoak } from "./soak/draw.ts";
import { answerWithinMs, soak, type Window } from "./soak/run.ts";
import { slopeOf } from "./soak/slope.ts";

/**
 * A server under mixed load for half an hour: whether its memory and its answers stay as they are. After a build:
 * `npx tsx scripts/soak.ts`, with `--minutes N` for another time.
 */
const { values } = parseArgs({
  options: { minutes: { type: "string", default: "30" }, seed: { type: "string", default: "1" } },
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
const mib = 2 ** 20;
const folder = await mkdtemp(join(tmpdir(), "protoline-soak-"));
try {
  const result = await soak({ folder, minutes, seed, windowSeconds: Math.max(3, minutes / 2) });
  const { windows, counts, refused, failed, failures, revisions, exit } = result;
  // Caches fill and the compiler compiles for a while; that is no leak.
  const warm = windows.slice(Math.floor(windows.length / 3));
  const perHour = (of: (it: Window) => number): string => {
    const { slope, interval } = slopeOf(warm.map((it) => ({ x: it.minute / 60, y: of(it) / mib })));
    const [low, high] = interval.map((it) => it.toFixed(1));
    return `${slope.toFixed(1)} (${low} to ${high})`;
  };
  const range = (of: (it: Window) => number, part: readonly Window[], digits: number): string => {
    const all = part.map(of).sort((a, b) => a - b);
    return [all[0]!, all[all.length >> 1]!, all.at(-1)!].map((it) => it.toFixed(digits)).join(" / ");
  };
  const part = (third: number): readonly Window[] =>
    windows.slice(Math.floor((windows.length * third) / 3), Math.floor((windows.length * (third + 1)) / 3));
  const rows = (
    [
      ["resident memory, MiB", ({ rss }) => rss / mib, 0],
      ["heap in use, MiB", ({ heap }) => heap / mib, 1],
      ["outside the heap, MiB", ({ external }) => external / mib, 1],
      ["p50 of a frame, ms", ({ p50 }) => p50, 1],
      ["p99 of a frame, ms", ({ p99 }) => p99, 1],
    ] as const satisfies readonly (readonly [string, (it: Window) => number, number])[]
  ).map(([name, of, digits]) => [name, ...[0, 1, 2].map((third) => range(of, part(third), digits))]);
  await writeFile(new URL("../docs/results/soak.svg", import.meta.url), drawSoak(windows));
  await publish({
    name: "soak",
    title: "A server for half an hour",
    about: [
      `\`protoline serve\` with its built-in model, SQLite, an audit log and a tray, for ${minutes} minutes beside other work on the same cores, the senders among it: least, median and most of the load average were ${range(({ load }) => load, windows, 1)}, so the times here are those of a machine that has not enough. Four cameras of ten frames a second each, let in where they are answered within ${answerWithinMs} ms; an editor who enrolls a class of three pictures, looks for it, and removes it or rolls back; frames of parts that nobody knows; a reader of the pages and exports; broken pictures, wrong keys, halves of requests.`,
      `**${failed} failed.** A frame fails where it is not answered with its own class, or from an older revision than the frame before; a change, where it is not the next revision or not seen by the next frame; a bad request, where it is not answered with its error. ${refused} frames were refused with 503. The last revision acknowledged was ${revisions.acknowledged}, that in the store afterwards ${revisions.stored}; the server ended with ${exit} on SIGTERM.`,
      `Memory from a third of the time on, by least squares with 95 % intervals: resident ${perHour(({ rss }) => rss)} MiB an hour, heap ${perHour(({ heap }) => heap)} MiB an hour.`,
      "![Memory and latency over the run](soak.svg)",
    ],
    tables: [
      {
        title: "Least / median / most of the windows",
        columns: ["", "first third", "second third", "last third"],
        rows,
      },
      {
        title: "What was done",
        columns: ["what", "times"],
        rows: Object.entries(counts).map(([what, n]) => [what, String(n)]),
      },
      ...(failed > 0
        ? [
            {
              title: "The first that failed",
              columns: ["what"],
              rows: failures.map((it) => [it.replaceAll("|", "\\|")]),
            },
          ]
        : []),
    ],
    seed,
    data: result,
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}
