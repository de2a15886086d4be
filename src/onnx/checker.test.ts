import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { conv4Step } from "../../test/graph/step.ts";
import { modelOf, writeModel } from "./index.ts";

/** A Python with the package `onnx`, where there is one; PROTOLINE_PYTHON names another than `python3`. */
const python = process.env.PROTOLINE_PYTHON ?? "python3";
const found = spawnSync(python, ["-c", "import onnx"]).status === 0;

const script = `
import sys, onnx
model = onnx.load(sys.argv[1])
onnx.checker.check_model(model, full_check=True)
print(len(model.graph.node), model.metadata_props[0].value)
`;

describe.skipIf(!found)("Python's onnx checker (skipped where Python has no package onnx)", () => {
  it("accepts a training step that was written here, types and shapes included", () => {
    const folder = mkdtempSync(join(tmpdir(), "protoline-onnx-"));
    try {
      const { graph } = conv4Step({ way: 2, shot: 1, query: 1, size: 20, channels: 3 }, { width: 4 });
      const file = join(folder, "step.onnx");
      writeFileSync(file, writeModel(modelOf(graph, { note: "written by Protoline" })));
      const { stdout, stderr } = spawnSync(python, ["-c", script, file], { encoding: "utf8" });
      expect(stderr).toBe("");
      expect(stdout.trim()).toBe(`${graph.nodes.length} written by Protoline`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
