/**
 * What limits gain that a line's own frames refine, and what strangers among the frames do to them: many galleries of three
 * classes and ten pictures each, then 300 frames, of which a share shows classes never enrolled; both rates on further pictures.
 */
import { createRng, row, stack, take } from "../src/core/index.ts";
import { type DecisionSpec, fitDecision, meanAndInterval } from "../src/fewshot/index.ts";
import { createLineLearner, type LearningGallery } from "../src/recognizer/index.ts";
import { datasets, load } from "./datasets.ts";
import { options, percent, publish } from "./results.ts";

const { episodes: galleries, seed, only } = options({ episodes: 60 });
const [way, shots, frames] = [3, 10, 300];
const shares = [0, 0.1, 0.2, 0.4];

const rows: string[][] = [];
const data: unknown[] = [];
for (const name of datasets.filter((one) => one !== "CIFAR-FS test"))
  for (const model of ["compact", "mobilenet-v1"]) {
    if (only !== undefined && only !== name) continue;
    const { classes, decision, priors } = await load(name, model);
    const rates = new Map<string, { falseReject: number[]; caught: number[] }>();
    const note = (key: string, falseReject: number, caught: number): void => {
      const all = rates.get(key) ?? { falseReject: [], caught: [] };
      rates.set(key, all);
      all.falseReject.push(falseReject);
      all.caught.push(caught);
    };
    for (let g = 0; g < galleries; g++) {
      const rng = createRng(seed).fork(g);
      const order = rng.shuffle(classes.map((_, c) => c));
      const [known, strange] = [order.slice(0, way), order.slice(way)];
      const parts = known.map((c) => {
        const { embeddings } = classes[c]!;
        const all = rng.shuffle(Array.from({ length: embeddings.n }, (_, i) => i));
        const asked = Math.min(30, Math.floor((embeddings.n - shots) / 2));
        const at = (from: number, to: number) => take(embeddings, all.slice(from, to));
        return {
          shown: at(0, shots),
          asked: at(shots, shots + asked),
          line: at(shots + asked, embeddings.n),
        };
      });
      const strangers = strange.map((c) => {
        const { embeddings } = classes[c]!;
        const all = rng.shuffle(Array.from({ length: embeddings.n }, (_, i) => i));
        const half = Math.floor(embeddings.n / 2);
        return {
          asked: take(embeddings, all.slice(0, Math.min(half, 20))),
          line: take(embeddings, all.slice(half)),
        };
      });
      const list = (of: ReturnType<typeof take>) => Array.from({ length: of.n }, (_, i) => row(of, i));
      const support = {
        embeddings: stack(parts.flatMap(({ shown }) => list(shown))),
        labels: parts.flatMap(({ shown }, c) => list(shown).map(() => `class ${c}`)),
      };
      const taught = fitDecision(support, decision, priors);
      const measure = (key: string, fitted: typeof taught): void => {
        const unknown = (all: readonly { readonly asked: ReturnType<typeof take> }[]): number => {
          const told = all.flatMap(({ asked }) => list(asked)).map((x) => fitted.decide(stack([x])).kind);
          return (100 * told.filter((kind) => kind === "unknown").length) / told.length;
        };
        note(key, unknown(parts), unknown(strangers));
      };
      measure("none", taught);
      for (const share of shares) {
        let fitted = taught;
        let revision = 1;
        const gallery: LearningGallery = {
          get revision() {
            return { number: revision };
          },
          get decision() {
            return fitted.spec;
          },
          get limits() {
            return fitted.limits;
          },
          async setDecision({ openSet }: DecisionSpec) {
            fitted = fitted.withOpenSet(openSet);
            revision++;
          },
        };
        const learner = createLineLearner(
          gallery,
          (error) => {
            throw error;
          },
          { delay: 0 },
        );
        const order = rng.fork(Math.round(100 * share));
        for (let i = 0; i < frames; i++) {
          const from =
            order.next() < share ? strangers[order.int(strangers.length)]! : parts[order.int(parts.length)]!;
          const frame = row(from.line, order.int(from.line.n));
          const decided = fitted.decide(stack([frame]));
          learner.observe({
            ...decided,
            ...{ confidence: 0, distance: 0, nearestSupport: [], gallery: "", model: "", modelHash: "" },
            ...{ revision, ms: { decode: 0, embed: 0, match: 0, total: 0 } },
          });
          await learner.settled();
        }
        measure(String(share), fitted);
      }
    }
    const text = (key: string): string[] => {
      const { falseReject, caught } = rates.get(key)!;
      const [f, c] = [meanAndInterval(falseReject), meanAndInterval(caught)];
      const spread = Math.sqrt(
        falseReject.reduce((s, x) => s + (x - f.mean) ** 2, 0) / (falseReject.length - 1),
      );
      data.push({ dataset: name, model, share: key, falseReject: f, caught: c, spread, galleries });
      return [
        `${f.mean.toFixed(1)} ± ${f.ci95.toFixed(1)}`,
        spread.toFixed(1),
        `${c.mean.toFixed(1)} ± ${c.ci95.toFixed(1)}`,
      ];
    };
    for (const key of ["none", ...shares.map(String)]) {
      const what = key === "none" ? "pictures alone" : `${percent(Number(key))} % strangers`;
      rows.push([name, model, what, ...text(key)]);
      process.stderr.write(`${rows.at(-1)!.join(" | ")}\n`);
    }
  }

if (only === undefined)
  await publish({
    name: "line-limits",
    title: "Limits that the line refines",
    about: [
      `${galleries} galleries a row, each of ${way} classes with ${shots} pictures, 5 % stated. The line shows ${frames} frames, of which the stated share shows the other classes, never enrolled; coins have so few pictures that frames come more than once. Then further pictures are asked: known ones called unknown, and strangers (other pictures of those classes) caught, in percent; ± is 1.96·s/√n over galleries, spread the deviation of one gallery's false rejects.`,
      "Limits move half of the way to what the frames say, and inward alone: at no share of strangers is less caught than with the pictures alone; the price is in the false rejects.",
    ],
    tables: [
      {
        columns: ["data", "model", "the line's frames", "false rejects", "spread", "caught"],
        rows,
      },
    ],
    seed,
    data,
  });
