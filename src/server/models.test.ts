import { describe, expect, it } from "vitest";
import { fakeEncoder } from "../../test/support/fake-encoder.ts";
import { createModels } from "./models.ts";

function offered(name: string, fails = false) {
  const counts = { opened: 0, closed: 0 };
  const open = async () => {
    counts.opened++;
    if (fails) throw new Error("no such file");
    return {
      ...fakeEncoder({ name }),
      close: async () => {
        counts.closed++;
      },
    };
  };
  return { counts, open };
}
const main = fakeEncoder({ name: "main" });
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("the models of a server", () => {
  it("are opened when they are needed, shared, and closed when nobody needs them", async () => {
    const { counts, open } = offered("other");
    const models = createModels(main, new Map([["other", open]]));
    expect(models.names).toEqual(["main", "other"]);
    expect(counts).toEqual({ opened: 0, closed: 0 });
    const [a, b] = await Promise.all([models.named("other"), models.named("other")]);
    expect(a.encoder).toBe(b.encoder);
    a.release();
    await settled();
    expect(counts).toEqual({ opened: 1, closed: 0 });
    b.release();
    await settled();
    expect(counts).toEqual({ opened: 1, closed: 1 });
    (await models.named("other")).release();
    await settled();
    expect(counts).toEqual({ opened: 2, closed: 2 });
  });

  it("never close the server's own", async () => {
    const models = createModels(main);
    const lease = await models.named("main");
    expect(lease.encoder).toBe(main);
    lease.release();
    expect((await models.of({ model: "whatever", modelHash: main.modelHash }))?.encoder).toBe(main);
  });

  it("are for a gallery those that made it, by hash and not by name alone", async () => {
    const { counts, open } = offered("other");
    const models = createModels(main, new Map([["other", open]]));
    const { modelHash } = fakeEncoder({ name: "other" });
    const lease = await models.of({ model: "other", modelHash });
    expect(lease?.encoder.modelHash).toBe(modelHash);
    lease?.release();
    await settled();
    expect(await models.of({ model: "other", modelHash: main.modelHash.replace(/./g, "0") })).toBeNull();
    await settled();
    expect(counts).toEqual({ opened: 2, closed: 2 });
    expect(await models.of({ model: "unknown", modelHash })).toBeNull();
  });

  it("that cannot be opened are tried again by the next", async () => {
    const { counts, open } = offered("broken", true);
    const models = createModels(main, new Map([["broken", open]]));
    await expect(models.named("broken")).rejects.toThrow("no such file");
    await expect(models.named("broken")).rejects.toThrow("no such file");
    expect(counts.opened).toBe(2);
    await expect(models.named("x")).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
  });
});
