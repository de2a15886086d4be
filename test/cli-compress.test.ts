import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readBundle, writeBundle } from "../src/models/index.ts";
import { drawInto, type Ended, errorOf, lines, newFolder, protoline } from "./cli-help.ts";
import { bundleOf, tinyNet } from "./compress/nets.ts";

let folder = "";
const run = (...args: string[]): Promise<Ended> => protoline(folder, [...args, "--threads", "1"]);
const tasks = ["--evaluate", "parts", "--way", "3", "--shot", "1", "--queries", "2", "--episodes", "20"];
const bytes = async (path: string): Promise<number> => (await stat(join(folder, path))).size;

beforeAll(async () => {
  folder = await newFolder();
  await drawInto(join(folder, "parts/washer"), "washer", 4, 1);
  await drawInto(join(folder, "parts/gear"), "gear", 4, 2);
  await drawInto(join(folder, "parts/motor"), "motor housing", 4, 3);
  await mkdir(join(folder, "nothing"));
  await writeBundle(bundleOf(tinyNet()), join(folder, "tiny.onnx"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("protoline quantize", () => {
  it("writes a smaller bundle, compares it on the same tasks, and the bundle enrolls and recognizes", async () => {
    const made = await run("quantize", "tiny.onnx", "--calibrate", "parts", "--out", "int8.onnx", ...tasks);
    expect(made.code, made.err).toBe(0);
    const [head, before, after, nodes] = lines(made.out);
    expect(head).toMatch(/^model +size +of it +ms a picture +of it +likeness +1 shot/);
    expect(before).toMatch(/^tiny .*1\.00 ×.*1\.0000 .*%/);
    expect(after).toMatch(/^tiny-int8 .*0\.\d\d ×.*%/);
    expect(nodes).toBe("11 of 11 nodes with weights are in 8 bits");
    expect(made.err).toContain("VNNI");

    const model = ["--model", "int8.onnx"];
    expect(await run("enroll", "parts", ...model)).toMatchObject({ code: 0 });
    const answered = await run("recognize", "parts/gear/1.jpg", ...model, "--json", "--quiet");
    expect(JSON.parse(lines(answered.out)[0]!)).toMatchObject({ kind: expect.any(String) });
  });

  it("answers in JSON, with the worst nodes in floating point where asked", async () => {
    const args = [
      "--calibrate",
      "parts",
      "--out",
      "kept.onnx",
      "--keep-worst",
      "1",
      "--method",
      "entropy",
      "--json",
    ];
    const made = await run("quantize", "tiny.onnx", ...args);
    const answer = JSON.parse(made.out) as {
      quantized: number;
      sensitivity: unknown[];
      measured: { bytes: number }[];
    };
    expect(answer).toMatchObject({ path: "kept.onnx", quantized: 10, quantizable: 11 });
    expect(answer.sensitivity).toHaveLength(11);
    expect(answer.measured).toHaveLength(2);
  });

  it("halves weights without a picture", async () => {
    const made = await run("quantize", "tiny.onnx", "--float16", "--out", "half");
    expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/^"half": \d+ bytes, 0\.\d\d ×/) });
    expect((await readBundle(join(folder, "half"))).manifest.name).toBe("tiny-fp16");
  });

  it("says what is missing or wrong", async () => {
    const code = async (...args: string[]): Promise<string> =>
      errorOf(await run("quantize", ...args, "--json", "--quiet")).code;
    expect(await code("tiny.onnx", "--out", "a.onnx")).toBe("INVALID_ARGUMENT");
    expect(await code("tiny.onnx", "--calibrate", "nothing", "--out", "a.onnx")).toBe("FOLDER_EMPTY");
    expect(await code("tiny.onnx", "--calibrate", "parts", "--out", "parts")).toBe("INVALID_ARGUMENT");
    expect(await code("nobody", "--calibrate", "parts", "--out", "a.onnx")).toBe("MODEL_NOT_FOUND");
    expect(await code("int8.onnx", "--calibrate", "parts", "--out", "a.onnx")).toBe("MODEL_UNSUPPORTED");
  });
});

describe("protoline prune", () => {
  it("writes a smaller bundle with the same embedding, that can be quantised as well", async () => {
    const args = ["--data", "parts", "--share", "0.4", "--multiple", "2", "--steps", "10", "--batch", "4"];
    const made = await run("prune", "tiny.onnx", ...args, "--out", "pruned.onnx", ...tasks);
    expect(made.code, made.err).toBe(0);
    expect(made.out).toMatch(/\d+\.\d % of the channels of 6 widths went/);
    expect(made.out).toMatch(/fine-tuning: loss \d/);
    expect(await bytes("pruned.onnx")).toBeLessThan(await bytes("tiny.onnx"));
    const both = await run("quantize", "pruned.onnx", "--calibrate", "parts", "--out", "both.onnx", "--json");
    expect(both.code, both.err).toBe(0);
    expect((await readBundle(join(folder, "both.onnx"))).manifest.provenance.origin).toMatch(
      /quantised to INT8.*pruned by/,
    );
  });

  it("refuses a share that is none", async () => {
    const made = await run(
      "prune",
      "tiny.onnx",
      "--data",
      "parts",
      "--share",
      "1.5",
      "--out",
      "a.onnx",
      "--json",
    );
    expect(made.code).toBe(2);
    expect(errorOf(made).message).toContain("between 0 and 1");
  });
});

describe("protoline export", () => {
  it("writes one file, a folder, or the bare model", async () => {
    expect(await run("export", "tiny.onnx", "--out", "bundle")).toMatchObject({ code: 0 });
    const { model, manifest } = await readBundle(join(folder, "bundle"));
    expect(manifest).toEqual((await readBundle(join(folder, "tiny.onnx"))).manifest);
    const plain = await run("export", "bundle", "--out", "plain.onnx", "--plain", "--json");
    expect(JSON.parse(plain.out)).toMatchObject({ input: "images", output: "embedding", embeddingDim: 10 });
    expect(await bytes("plain.onnx")).toBe(model.length);
    await expect(readBundle(join(folder, "plain.onnx"))).rejects.toMatchObject({ code: "BUNDLE_INVALID" });
  });

  it("does not replace a folder that is no bundle", async () => {
    await writeFile(join(folder, "nothing/note.txt"), "mine");
    const refused = await run("export", "tiny.onnx", "--out", "nothing", "--json");
    expect(errorOf(refused).code).toBe("INVALID_ARGUMENT");
  });
});
