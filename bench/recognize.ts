/**
 * What a frame costs, stage by stage, and what a gallery costs as it grows: `npm run bench`.
 * Prints a table and writes docs/results/bench-recognize.md. It asserts nothing.
 */
import { writeFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import sharp from "sharp";
import { createRng, type Embeddings } from "../src/core/index.ts";
import { decodePicture, toInput } from "../src/data/index.ts";
import { type DecisionSpec, defaultDecision, defaultPriors, fitDecision } from "../src/fewshot/index.ts";
import { defaultModel, modelSources, openEncoder } from "../src/models/index.ts";
import { Recognizer } from "../src/recognizer/index.ts";

const lines: string[] = [];
const print = (line: string): void => {
  console.log(line);
  lines.push(line);
};

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)]!;

/** Milliseconds of `runs` calls after a few that are not counted. */
async function time(runs: number, work: (i: number) => unknown, warmUp = 3): Promise<number[]> {
  for (let i = 0; i < warmUp; i++) await work(i);
  const ms: number[] = [];
  for (let i = 0; i < runs; i++) {
    const started = performance.now();
    await work(warmUp + i);
    ms.push(performance.now() - started);
  }
  return ms.sort((a, b) => a - b);
}

const row = (name: string, ms: readonly number[]): void =>
  print(
    `| ${name} | ${[0.5, 0.95, 0.99].map((q) => quantile(ms, q).toFixed(2)).join(" | ")} | ${ms.length} |`,
  );

/** A picture with edges, texture and noise, about as hard to decode as one from a line. */
async function photograph(
  width: number,
  height: number,
  seed: number,
  format: "jpeg" | "png",
): Promise<Buffer> {
  const rng = createRng(seed);
  const data = Buffer.alloc(width * height * 3);
  const [fx, fy] = [0.01 + 0.05 * rng.next(), 0.01 + 0.05 * rng.next()];
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const shade =
        128 + 60 * Math.sin(x * fx) * Math.cos(y * fy) + ((x >> 6) ^ (y >> 6)) * 2 + rng.int(17) - 8;
      for (let c = 0; c < 3; c++) data[i++] = Math.max(0, Math.min(255, shade + c * 9));
    }
  const image = sharp(data, { raw: { width, height, channels: 3 } });
  return format === "jpeg" ? image.jpeg({ quality: 90 }).toBuffer() : image.png().toBuffer();
}

function randomSupport(classes: number, shots: number, dim: number) {
  const rng = createRng(1);
  const data = new Float32Array(classes * shots * dim);
  for (let i = 0; i < data.length; i++) data[i] = rng.next();
  const embeddings: Embeddings = { data, n: classes * shots, dim };
  return { embeddings, labels: Array.from({ length: classes * shots }, (_, i) => Math.floor(i / shots)) };
}

const megabytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);

const { model } = await defaultModel(modelSources(process.env));
const encoder = await openEncoder(model, { sources: modelSources(process.env) });
const { preprocess } = encoder.manifest;

print(`# Recognition bench\n`);
print(`\`npm run bench\`, ${new Date().toISOString().slice(0, 10)}, Node ${process.version},`);
print(`${cpus().length} cores (${cpus()[0]?.model.trim()}), ${megabytes(totalmem())} MiB, model ${model}.\n`);
print("| stage | p50 ms | p95 ms | p99 ms | runs |");
print("| --- | --- | --- | --- | --- |");

const large = await Promise.all([1, 2, 3, 4].map((seed) => photograph(1920, 1080, seed, "jpeg")));
const largePng = await photograph(1920, 1080, 1, "png");
const small = await Promise.all([1, 2, 3, 4].map((seed) => photograph(128, 128, seed, "jpeg")));
const at = <T>(items: readonly T[], i: number): T => items[i % items.length]!;

row("decode 1080p JPEG", await time(100, (i) => decodePicture(at(large, i))));
row("decode 1080p PNG", await time(40, () => decodePicture(largePng)));
row("decode 128 px JPEG", await time(300, (i) => decodePicture(at(small, i))));
const largePicture = await decodePicture(large[0]!);
const smallPicture = await decodePicture(small[0]!);
row("resample 1080p", await time(200, () => toInput(largePicture, preprocess)));
row("resample 128 px", await time(200, () => toInput(smallPicture, preprocess)));
const input = toInput(largePicture, preprocess);
row("embed 1", await time(200, () => encoder.embed([input])));
row("embed 8", await time(40, () => encoder.embed(Array(8).fill(input))));

const recognizer = await Recognizer.open({ model: encoder });
const pictures = await Promise.all(
  Array.from({ length: 60 }, (_, i) => photograph(1920, 1080, 100 + i, "jpeg")),
);
for (let c = 0; c < 3; c++) await recognizer.enroll(`part ${c}`, pictures.slice(c * 10, c * 10 + 10));
const enrolled: number[] = [];
for (let c = 3; c < 6; c++) {
  const started = performance.now();
  await recognizer.enroll(`part ${c}`, pictures.slice(c * 10, c * 10 + 10));
  await recognizer.recognize(at(small, c));
  enrolled.push(performance.now() - started);
}
row(
  "enroll ten 1080p pictures, searchable",
  enrolled.sort((a, b) => a - b),
);
row("recognize 1080p JPEG, end to end", await time(300, (i) => recognizer.recognize(at(large, i)), 20));
row("recognize 128 px JPEG, end to end", await time(500, (i) => recognizer.recognize(at(small, i)), 20));
await recognizer.close();
await encoder.close();

const dim = 512;
const nearest: DecisionSpec = {
  ...defaultDecision,
  transform: { power: null, normalize: true, center: "none" },
  head: { kind: "prototype", metric: "cosine" },
};
for (const classes of [10, 1_000, 100_000]) {
  const before = process.memoryUsage();
  const support = randomSupport(classes, 1, dim);
  const decision = fitDecision(support, nearest, defaultPriors);
  const query = { data: support.embeddings.data.slice(0, dim), n: 1, dim };
  const ms = await time(classes > 10_000 ? 20 : 500, () => decision.decide(query, { topK: 3 }));
  const after = process.memoryUsage();
  const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
  row(
    `match ${classes.toLocaleString("en")} prototypes of ${dim} (${megabytes(Math.max(0, grown))} MiB more)`,
    ms,
  );
}
// The decision that is the default, and the head that was, on the same rows.
for (const head of [{ kind: "gaussian" }, { kind: "ridge", lambda: 0.3 }] as const) {
  const support = randomSupport(1_000, 10, 1024);
  const what = `${head.kind}, 1,000 classes x 10 of 1,024`;
  const started = performance.now();
  const decision = fitDecision(support, { ...defaultDecision, head }, defaultPriors);
  row(`${what}: fit`, [performance.now() - started]);
  const one = randomSupport(1, 1, 1024);
  row(`${what}: one sample more`, await time(10, () => decision.update({ add: one }), 1));
  const query = { data: support.embeddings.data.slice(0, 1024), n: 1, dim: 1024 };
  row(`${what}: match`, await time(200, () => decision.decide(query, { topK: 3 })));
}
print(`\nPeak memory of the whole bench: ${megabytes(process.resourceUsage().maxRSS * 1024)} MiB.`);
await writeFile(new URL("../docs/results/bench-recognize.md", import.meta.url), `${lines.join("\n")}\n`);
