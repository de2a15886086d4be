import { Redis } from "ioredis";
import { afterAll, describe, expect, it } from "vitest";
import { isProtolineError, type ProtolineError } from "../src/core/index.ts";
import { createStore } from "../src/store/create-store.ts";
import { openRedis } from "../src/store/drivers/redis.ts";
import { openStore } from "../src/store/index.ts";
import { by, gallery, sample } from "./store.contract.ts";
import { redisInstance } from "./store-instances.ts";
import { describeWith, redisServer } from "./store-servers.ts";

async function errorOf(promise: Promise<unknown>): Promise<ProtolineError> {
  const error = await promise.then(
    () => new Error("no error"),
    (reason: unknown) => reason,
  );
  if (!isProtolineError(error)) throw error;
  return error;
}

describe("the address of a Redis store", () => {
  it("names a prefix in plain letters", async () => {
    for (const prefix of ["", "a b", "{a}", "ü", "*", "x".repeat(65)]) {
      const address = `redis://127.0.0.1:1?prefix=${encodeURIComponent(prefix)}`;
      expect((await errorOf(openStore(address))).code).toBe("INVALID_ARGUMENT");
    }
  });

  it("is never told with its password", async () => {
    for (const address of [
      "redis://:geheim@127.0.0.1:1/0",
      "rediss://anna:geheim@[::bad",
      "redis2://:geheim@x",
    ]) {
      const error = await errorOf(openStore(address));
      expect(error.code).toMatch(/^(INVALID_ARGUMENT|STORE_UNAVAILABLE)$/);
      expect(JSON.stringify([error.message, error.toJSON()])).not.toContain("geheim");
    }
  });

  it("is told with what happened there", async () => {
    const error = await errorOf(openStore("redis://127.0.0.1:1/0"));
    expect(error).toMatchObject({ code: "STORE_UNAVAILABLE", got: expect.stringContaining("ECONNREFUSED") });
  });
});

describeWith(await redisServer(), (place) => {
  afterAll(() => place.remove());
  const withClient = async <T>(address: string, work: (client: Redis, prefix: string) => Promise<T>) => {
    const url = new URL(address);
    const client = new Redis(url.port ? Number(url.port) : 6379, url.hostname, {
      db: Number(url.pathname.slice(1)),
    });
    try {
      return await work(client, url.searchParams.get("prefix")!);
    } finally {
      client.disconnect();
    }
  };

  describe("a Redis store", () => {
    it("is there again when it is opened again, and keeps several writers in line", async () => {
      const address = place.fresh();
      const stores = await Promise.all(Array.from({ length: 3 }, () => openStore(address)));
      await stores[0]!.createGallery(gallery());
      const results = await Promise.all(
        stores.flatMap((store, k) =>
          Array.from({ length: 8 }, (_, i) => store.addSamples("line", [sample("A", `${k} ${i}`)], by)),
        ),
      );
      const numbers = results.map(({ revision }) => revision.number).sort((a, b) => a - b);
      expect(numbers).toEqual(results.map((_, i) => i + 1));
      await Promise.all(stores.map((store) => store.close()));
      const again = await openStore(address);
      expect((await again.snapshot("line")).samples).toHaveLength(24);
      await again.close();
    });

    it("shows readers one moment while others write", async () => {
      const address = place.fresh();
      const [writer, reader] = [await openStore(address), await openStore(address)];
      await writer.createGallery(gallery());
      let writing = true;
      const write = (async () => {
        for (let i = 0; i < 30; i++) {
          // Two samples at a time, then one class after another: never an odd number, never two labels.
          await writer.addSamples("line", [sample(`C${i}`, `${i} a`), sample(`C${i}`, `${i} b`)], by);
          if (i > 0) await writer.mergeClasses("line", [`C${i - 1}`], `C${i}`, by);
        }
        writing = false;
      })();
      let reads = 0;
      while (writing) {
        const { samples, revision } = await reader.snapshot("line");
        expect(samples).toHaveLength(revision.samples);
        expect(samples.length % 2).toBe(0);
        expect(new Set(samples.map(({ label }) => label)).size).toBe(revision.classes);
        const statistics = await reader.classStatistics("line");
        expect(statistics.reduce((sum, { n }) => sum + n, 0) % 2).toBe(0);
        reads++;
      }
      await write;
      expect(reads).toBeGreaterThan(5);
      await reader.close();
      await writer.close();
    });

    it("waits for the lock of a writer that died, and refuses one that only seemed dead", async () => {
      const address = place.fresh();
      const [one, two] = [await openRedis(address), await openRedis(address, { busyMs: 100 })];
      await createStore(one).createGallery(gallery());
      await withClient(address, async (client, prefix) => {
        await client.set(`${prefix}lock`, "of nobody", "PX", 400);
        await createStore(two).addSamples("line", [sample("A", "1")], by);
        // While one works, its lock goes to somebody else, as after three seconds of standing still.
        const late = one.write(async (tables) => {
          await tables.putApiKey({ id: "k", name: "late", hash: "0", scopes: ["read"], created: 1 });
          await client.set(`${prefix}lock`, "of another", "PX", 300);
        });
        expect((await errorOf(late)).code).toBe("STORE_BUSY");
        expect(await createStore(two).apiKeys()).toEqual([]);
        await client.set(`${prefix}lock`, "of nobody", "PX", 60_000);
        expect((await errorOf(createStore(two).setRefresh("line", { kind: "manual" }))).code).toBe(
          "STORE_BUSY",
        );
      });
      await one.close();
      await two.close();
    });

    it("refuses a database that the server does not have, and does not take another for it", async () => {
      const address = place.fresh();
      const error = await errorOf(openStore(address.replace(/\/\d+\?/, "/123456?")));
      expect(error).toMatchObject({ code: "STORE_UNAVAILABLE", got: expect.stringContaining("DB index") });
      const keys = await withClient(address, (client, prefix) => client.keys(`${prefix}*`));
      expect(keys).toEqual([]);
    });

    it("refuses a newer layout, and says that a value is damaged", async () => {
      const address = place.fresh();
      const store = await openStore(address);
      await store.createGallery(gallery());
      await store.addSamples("line", [sample("A", "1")], by);
      await withClient(address, async (client, prefix) => {
        await client.hset(`${prefix}1:embeddings:1`, "1", "abc");
        expect((await errorOf(store.snapshot("line"))).code).toBe("STORE_BROKEN");
        await client.hset(`${prefix}1:samples`, "1", "{");
        expect((await errorOf(store.snapshot("line"))).code).toBe("STORE_BROKEN");
        await client.del(`${prefix}1:samples`);
        await client.set(`${prefix}1:samples`, "a text");
        expect((await errorOf(store.snapshot("line"))).code).toBe("STORE_BROKEN");
        await client.hset(`${prefix}meta`, "version", 99);
        expect(await errorOf(openStore(address))).toMatchObject({ code: "STORE_NEWER", got: "version 99" });
      });
      await store.close();
    });

    it("leaves no key of a gallery that was removed", async () => {
      const address = place.fresh();
      const store = await openStore(address);
      const image = { bytes: Uint8Array.of(10, 0, 10), type: "image/png", whole: true };
      await store.createGallery(gallery());
      await store.addSamples("line", [sample("A", "1", { image }), sample("__proto__", "2")], by);
      expect((await store.classStatistics("line")).map(({ label }) => label)).toEqual(["A", "__proto__"]);
      await store.setRefresh("line", { kind: "manual" });
      await store.addSamples("line", [sample("B", "3")], by);
      const keys = () =>
        withClient(address, async (client, prefix) =>
          (await client.keys(`${prefix}*`)).map((key) => key.slice(prefix.length)).sort(),
        );
      expect((await keys()).length).toBeGreaterThan(10);
      await store.removeGallery("line");
      expect(await keys()).toEqual(["ids", "meta"]);
      await store.close();
    });

    it("loses its connections and makes new ones", async () => {
      const address = place.fresh();
      const store = await openStore(`${address}&connectionName=${place.name}`);
      const heard: (string | null)[] = [];
      const end = store.subscribe((name) => heard.push(name));
      await expect.poll(() => heard).toEqual([null]);
      await store.createGallery(gallery());
      await expect.poll(() => heard).toEqual([null, "line"]);
      await withClient(address, async (client) => {
        const lines = String(await client.client("LIST")).split("\n");
        const ids = lines
          .filter((line) => line.includes(`name=${place.name}`))
          .map((line) => Number(/^id=(\d+)/.exec(line)![1]));
        expect(ids).toHaveLength(2);
        for (const id of ids) await client.client("KILL", "ID", id);
      });
      await expect.poll(() => store.head("line").catch(() => null)).toBe(0);
      await expect.poll(() => heard).toEqual([null, "line", null]);
      await store.addSamples("line", [sample("A", "1")], by);
      await expect.poll(() => heard.at(-1)).toBe("line");
      end();
      await store.removeGallery("line");
      expect(heard).toHaveLength(4);
      await store.close();
    });
  });
});

describeWith(await redisInstance(["--requirepass", "geheim", "--maxmemory", "6mb"]), (instance) => {
  afterAll(() => instance.remove());

  it("a Redis server that asks for a password, and one that is full or forgets", async () => {
    instance.start();
    const { address } = instance;
    const right = address.replace("redis://", "redis://:geheim@");
    await expect
      .poll(async () => (await errorOf(openStore(address))).got, { timeout: 10_000 })
      .toContain("NOAUTH");
    const wrong = await errorOf(openStore(address.replace("redis://", "redis://:falsch@")));
    expect(wrong).toMatchObject({ code: "STORE_UNAVAILABLE", got: expect.stringContaining("WRONGPASS") });
    expect(JSON.stringify([wrong.message, wrong.cause])).not.toContain("falsch");

    const store = await openStore(right);
    await store.createGallery(gallery());
    const image = () => ({ bytes: new Uint8Array(500_000), type: "image/png", whole: true });
    let taken = 0;
    const fill = async (): Promise<never> => {
      for (; ; taken++) await store.addSamples("line", [sample("A", `${taken}`, { image: image() })], by);
    };
    const full = await errorOf(fill());
    expect(full).toMatchObject({ code: "STORE_FULL", got: expect.not.stringContaining("script") });
    expect((await store.snapshot("line")).samples).toHaveLength(taken);
    expect((await store.history("line")).length).toBe(taken + 1);

    const client = new Redis(right);
    await client.config("SET", "maxmemory-policy", "allkeys-lru");
    client.disconnect();
    expect(await errorOf(openStore(right))).toMatchObject({
      code: "STORE_BROKEN",
      got: "maxmemory-policy allkeys-lru",
    });
    await store.close();
  });
});

describeWith(await redisInstance(), (instance) => {
  afterAll(() => instance.remove());

  it("a change whose answer is lost is told at once, and the next waits for none of it", async () => {
    instance.start();
    const { address } = instance;
    const opened = () => openStore(address).catch(() => null);
    await expect.poll(async () => (await opened())?.close() ?? null, { timeout: 10_000 }).not.toBeNull();
    const [store, client] = [await openStore(address), new Redis(address)];
    client.on("error", () => undefined);
    await client.client("PAUSE", 60_000, "WRITE");
    const key = { id: "k", name: "line", hash: "a".repeat(64), scopes: ["read"], created: 1 } as const;
    const lost = errorOf(store.putApiKey(key));
    await expect.poll(async () => String(await client.client("LIST"))).toContain("cmd=set");
    client.disconnect();
    const start = performance.now();
    await instance.kill();
    expect((await lost).code).toBe("STORE_UNAVAILABLE");
    expect((await errorOf(store.putApiKey(key))).code).toBe("STORE_UNAVAILABLE");
    // Far below the time after which a server that says nothing counts as gone.
    expect(performance.now() - start).toBeLessThan(5000);
    await store.close();
  });
});
