import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tinyBundle } from "../../test/support/onnx-encoder.ts";
import { sha256 } from "../core/index.ts";
import { modelOf, readModel, writeModel } from "../onnx/index.ts";
import { openSession } from "../runtime/index.ts";
import { splitManifest, withManifest } from "./bundle-bytes.ts";
import { manifestKey, openEncoder, readBundle, writeBundle } from "./index.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "protoline-bundle-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const bundle = tinyBundle();

describe("a bundle", () => {
  it.each(["folder", "file.onnx"])("comes back from a %s as it was, with the same hash", async (name) => {
    const path = join(folder, name);
    await writeBundle(bundle, path);
    const read = await readBundle(path);
    expect(read.manifest).toEqual(bundle.manifest);
    expect(Buffer.from(read.model).equals(bundle.model)).toBe(true);
  });

  it("replaces the older one whole and leaves nothing else behind", async () => {
    const home = join(folder, "replace");
    for (const version of ["1", "2"]) {
      await writeBundle({ ...bundle, manifest: { ...bundle.manifest, version } }, join(home, "b"));
      await writeBundle({ ...bundle, manifest: { ...bundle.manifest, version } }, join(home, "b.onnx"));
    }
    expect((await readBundle(join(home, "b"))).manifest.version).toBe("2");
    expect((await readBundle(join(home, "b.onnx"))).manifest.version).toBe("2");
    expect(readdirSync(home).sort()).toEqual(["b", "b.onnx"]);
  });

  it("as one file is an ONNX model for any reader, with the manifest in its metadata", async () => {
    const path = join(folder, "one.onnx");
    await writeBundle(bundle, path);
    const bytes = readFileSync(path);
    expect(JSON.parse(readModel(bytes).metadata[manifestKey]!)).toEqual(bundle.manifest);
    const session = await openSession(bytes);
    expect(session.outputs[0]!.name).toBe("embedding");
    await session.close();
  });

  it("embeds alike in both forms, under one model hash", async () => {
    await writeBundle(bundle, join(folder, "both"));
    await writeBundle(bundle, join(folder, "both.onnx"));
    const picture = Float32Array.from({ length: 192 }, (_, i) => Math.sin(i));
    const results = [];
    for (const name of ["both", "both.onnx"]) {
      const encoder = await openEncoder(join(folder, name));
      results.push([encoder.modelHash, ...(await encoder.embed([picture])).data]);
      await encoder.close();
    }
    expect(results[0]).toEqual(results[1]);
  });

  it("whose model was changed is refused", async () => {
    const path = join(folder, "changed");
    await writeBundle(bundle, path);
    const bytes = readFileSync(join(path, "model.onnx"));
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(join(path, "model.onnx"), bytes);
    await expect(readBundle(path)).rejects.toMatchObject({ code: "MODEL_HASH_MISMATCH" });
  });

  it("without a manifest, or with a broken one, is refused in words", async () => {
    writeFileSync(join(folder, "plain.onnx"), bundle.model);
    await expect(readBundle(join(folder, "plain.onnx"))).rejects.toMatchObject({
      code: "BUNDLE_INVALID",
      todo: expect.stringContaining("models import"),
    });
    const path = join(folder, "broken");
    await writeBundle(bundle, path);
    writeFileSync(join(path, "manifest.json"), "{ no json");
    await expect(readBundle(path)).rejects.toMatchObject({ code: "BUNDLE_INVALID" });
    rmSync(join(path, "manifest.json"));
    await expect(readBundle(path)).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
  });

  it("that is no model file is refused", async () => {
    const path = join(folder, "text.onnx");
    writeFileSync(path, "hello, this is text");
    await expect(readBundle(path)).rejects.toMatchObject({ code: "MODEL_BROKEN" });
    await writeBundle(bundle, join(folder, "cut.onnx"));
    copyFileSync(join(folder, "cut.onnx"), path);
    writeFileSync(path, readFileSync(path).subarray(0, 300));
    await expect(readBundle(path)).rejects.toMatchObject({ code: "MODEL_BROKEN" });
  });
});

describe("the manifest inside a model file", () => {
  it("comes out of any text, and leaves the model's bytes as they were", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 400 }), (text) => {
        const { model, manifest } = splitManifest(withManifest(bundle.model, text), "m");
        expect(manifest).toBe(text);
        expect(sha256(model)).toBe(bundle.manifest.model.sha256);
      }),
    );
  });

  it("is found where it stands first, and other metadata stays part of the model", () => {
    const other = writeModel(modelOf(readModel(bundle.model).graph, { author: "somebody" }));
    const entry = withManifest(new Uint8Array(0), "text");
    const { model, manifest } = splitManifest(Buffer.concat([entry, other]), "m");
    expect(manifest).toBe("text");
    expect(Buffer.from(model).equals(other)).toBe(true);
    expect(splitManifest(other, "m")).toEqual({ model: other, manifest: null });
  });
});
