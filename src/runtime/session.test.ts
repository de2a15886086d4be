import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { createBuilder, tensor } from "../graph/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import { availableProviders, loadedModels, openSession, type Provider, providers, Tensor } from "./index.ts";

/** y = x · factor over `[N, 2]`. */
function scaling(factor: number): Uint8Array {
  const g = createBuilder("scaling");
  const x = g.input("x", "float32", ["N", 2]);
  return writeModel(modelOf(g.build({ y: g.Mul(x, tensor("float32", [factor], [])) })));
}

const feed = (...values: number[]) => ({ x: new Tensor("float32", values, [values.length / 2, 2]) });

const folders: string[] = [];
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "protoline-"));
  folders.push(made);
  return made;
}
afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true });
});

describe("openSession", () => {
  it("runs a model of bytes or of a file, and says what goes in and out", async () => {
    const path = join(folder(), "m.onnx");
    writeFileSync(path, scaling(3));
    for (const model of [scaling(3), path]) {
      const session = await openSession(model);
      expect(session.provider).toBe("cpu");
      expect(session.inputs).toEqual([{ name: "x", type: "float32", shape: ["N", 2] }]);
      expect(session.outputs).toEqual([{ name: "y", type: "float32", shape: ["N", 2] }]);
      const { y } = await session.run(feed(1, 2, 3, 4));
      expect(y!.dims).toEqual([2, 2]);
      expect([...(y!.data as Float32Array)]).toEqual([3, 6, 9, 12]);
      await session.close();
    }
  });

  it("shares one model among those who open the same with the same options, until the last closes", async () => {
    expect(loadedModels()).toBe(0);
    const [a, b] = await Promise.all([openSession(scaling(2)), openSession(scaling(2))]);
    expect(loadedModels()).toBe(1);
    const other = await openSession(scaling(2), { threads: 1 });
    expect(loadedModels()).toBe(2);
    await a.close();
    await a.close();
    expect(loadedModels()).toBe(2);
    expect([...((await b.run(feed(1, 1))).y!.data as Float32Array)]).toEqual([2, 2]);
    await b.close();
    await other.close();
    expect(loadedModels()).toBe(0);
  });

  it("finishes what is under way before it closes, and refuses what comes after", async () => {
    const session = await openSession(scaling(5));
    const order: string[] = [];
    const runs = [1, 2, 3].map((i) =>
      session.run(feed(i, i)).then(({ y }) => order.push(`run ${(y!.data as Float32Array)[0]}`)),
    );
    const closed = session.close().then(() => order.push("closed"));
    await Promise.all([...runs, closed]);
    expect(order).toEqual(["run 5", "run 10", "run 15", "closed"]);
    await expect(session.run(feed(1, 1))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("does not load without bound, and recovers when sessions are closed", async () => {
    const options = { threads: 1 };
    const open = await Promise.all(Array.from({ length: 64 }, (_, i) => openSession(scaling(i), options)));
    await expect(openSession(scaling(-1))).rejects.toMatchObject({ code: "SESSION_LIMIT" });
    const again = await openSession(scaling(0), options);
    await again.close();
    await open.pop()!.close();
    await (await openSession(scaling(-1))).close();
    await Promise.all(open.map((session) => session.close()));
    expect(loadedModels()).toBe(0);
  });

  it.each([
    ["text", new TextEncoder().encode("this is no model"), "MODEL_BROKEN"],
    ["nothing", new Uint8Array(0), "MODEL_BROKEN"],
    ["half a model", scaling(1).subarray(0, 60), "MODEL_BROKEN"],
  ])("refuses %s", async (_, bytes, code) => {
    await expect(openSession(bytes)).rejects.toMatchObject({ code });
    expect(loadedModels()).toBe(0);
  });

  it("refuses an operator that does not exist, and names it", async () => {
    const g = createBuilder("odd");
    const graph = g.build({ y: g.Relu(g.input("x", "float32", ["N", 2])) });
    const odd = { ...graph, nodes: graph.nodes.map((node) => ({ ...node, op: "Levitate" })) };
    await expect(openSession(writeModel(modelOf(odd)))).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      got: expect.stringContaining("Levitate"),
    });
  });

  it("names a file that is not there", async () => {
    await expect(openSession(join(folder(), "none.onnx"))).rejects.toMatchObject({
      code: "MODEL_NOT_FOUND",
      got: expect.stringContaining("none.onnx"),
    });
  });

  it("refuses options that mean nothing", async () => {
    await expect(openSession(scaling(1), { threads: 0 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(openSession(scaling(1), { provider: "gpu" as Provider })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      expected: expect.stringContaining("webgpu"),
    });
  });

  it("gives a coded error for inputs that do not fit", async () => {
    const session = await openSession(scaling(1));
    await expect(session.run({ x: new Tensor("float32", [1, 2, 3], [1, 3]) })).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
    });
    await session.close();
  });
});

describe("providers", () => {
  it("lists those that work here, and the CPU always does", async () => {
    const works = await availableProviders();
    expect(works[0]).toBe("cpu");
    for (const provider of works) {
      const session = await openSession(scaling(7), { provider });
      expect([...((await session.run(feed(1, 2))).y!.data as Float32Array)]).toEqual([7, 14]);
      await session.close();
    }
  });

  it("refuses one that does not work here, naming those that do, and falls back only when asked", async () => {
    const works = await availableProviders();
    const missing = providers.filter((provider) => !works.includes(provider));
    // No machine has both CoreML and DirectML.
    expect(missing.length).toBeGreaterThan(0);
    for (const provider of missing) {
      await expect(openSession(scaling(1), { provider })).rejects.toMatchObject({
        code: "PROVIDER_UNAVAILABLE",
        got: provider,
        expected: expect.stringContaining("cpu"),
      });
      const session = await openSession(scaling(1), { provider, fallback: true });
      expect([session.requested, session.provider]).toEqual([provider, "cpu"]);
      await session.close();
    }
  });
});
