import pg from "pg";
import { afterAll, describe, expect, it } from "vitest";
import { isProtolineError, type ProtolineError } from "../src/core/index.ts";
import { createStore } from "../src/store/create-store.ts";
import { openPostgres } from "../src/store/drivers/postgres.ts";
import { type GalleryStore, openStore } from "../src/store/index.ts";
import { by, gallery, sample } from "./store.contract.ts";
import { describeWith, postgresServer } from "./store-servers.ts";

async function errorOf(promise: Promise<unknown>): Promise<ProtolineError> {
  const error = await promise.then(
    () => new Error("no error"),
    (reason: unknown) => reason,
  );
  if (!isProtolineError(error)) throw error;
  return error;
}

describe("the address of a PostgreSQL store", () => {
  it("names a schema in plain letters", async () => {
    for (const schema of ["", "Line7", "7", "pg_line", "a-b", 'a"b', "x".repeat(41)]) {
      const address = `postgres://127.0.0.1:1/x?schema=${encodeURIComponent(schema)}`;
      expect((await errorOf(openStore(address))).code).toBe("INVALID_ARGUMENT");
    }
  });

  it("is never told with its password", async () => {
    for (const address of [
      "postgres://anna:geheim@127.0.0.1:1/parts",
      "postgresql://anna:geheim@127.0.0.1:1/parts?schema=line7",
      "postgres://anna:gehe/im@[::bad/parts",
      "postgres://anna:geheim@host:port/parts",
      "mysql://anna:geheim@127.0.0.1/parts",
      "postgres://127.0.0.1:1/parts?password=geheim",
    ]) {
      const error = await errorOf(openStore(address));
      expect(error.code).toMatch(/^(INVALID_ARGUMENT|STORE_UNAVAILABLE)$/);
      expect(JSON.stringify([error.message, error.toJSON()])).not.toMatch(/gehe/);
    }
  });
});

describeWith(await postgresServer(), (place) => {
  afterAll(() => place.remove());
  const sql = async (address: string, text: string): Promise<unknown[][]> => {
    const client = new pg.Client({ connectionString: address });
    await client.connect();
    try {
      return (await client.query({ text, rowMode: "array" })).rows;
    } finally {
      await client.end();
    }
  };
  const schemaOf = (address: string): string => new URL(address).searchParams.get("schema")!;

  describe("a PostgreSQL store", () => {
    it("is made once by many that open it at the same time, and is there again afterwards", async () => {
      const address = place.fresh();
      const stores = await Promise.all(Array.from({ length: 5 }, () => openStore(address)));
      await stores[0]!.createGallery(gallery());
      await stores[1]!.addSamples("line", [sample("A", "1")], by);
      for (const store of stores) expect(await store.head("line")).toBe(1);
      await Promise.all(stores.map((store) => store.close()));
      const again = await openStore(address);
      expect((await again.snapshot("line")).samples).toHaveLength(1);
      await again.close();
    });

    it("keeps the revisions of several writers in line", async () => {
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
    });

    it("refuses a newer schema and one of another program", async () => {
      const [newer, foreign] = [place.fresh(), place.fresh()];
      await (await openStore(newer)).close();
      await sql(newer, `UPDATE ${schemaOf(newer)}.protoline SET version = 99`);
      const error = await errorOf(openStore(newer));
      expect([error.code, error.got]).toEqual(["STORE_NEWER", "version 99"]);
      await sql(foreign, `CREATE SCHEMA ${schemaOf(foreign)} CREATE TABLE gallery (id integer)`);
      expect((await errorOf(openStore(foreign))).code).toBe("STORE_BROKEN");
      await sql(newer, `TRUNCATE ${schemaOf(newer)}.protoline`);
      expect((await errorOf(openStore(newer))).code).toBe("STORE_BROKEN");
    });

    it("says what it lacks: database, right, time", async () => {
      const address = place.fresh();
      const absent = address.replace(place.name, "no_such_database");
      expect(await errorOf(openStore(absent))).toMatchObject({
        code: "STORE_UNAVAILABLE",
        todo: expect.stringContaining("createdb"),
      });
      const role = `${place.name}_reader`;
      await sql(address, `CREATE ROLE ${role} LOGIN`);
      try {
        const theirs = address.replace("postgres@", `${role}@`);
        expect((await errorOf(openStore(theirs))).code).toBe("STORE_READ_ONLY");
      } finally {
        await sql(address, `DROP ROLE ${role}`);
      }

      const [patient, busy] = [await openPostgres(address), await openPostgres(address, { busyMs: 50 })];
      await patient.write(async () => {
        expect((await errorOf(createStore(busy).createGallery(gallery()))).code).toBe("STORE_BUSY");
      });
      await createStore(busy).createGallery(gallery());
      await patient.close();
      await busy.close();
    });

    it("says that a row is damaged", async () => {
      const address = place.fresh();
      const store = await openStore(address);
      await store.createGallery(gallery());
      await store.addSamples("line", [sample("A", "1")], by);
      await sql(address, `UPDATE ${schemaOf(address)}.embedding SET data = 'abc'`);
      expect((await errorOf(store.snapshot("line"))).code).toBe("STORE_BROKEN");
      await sql(address, `DROP SCHEMA ${schemaOf(address)} CASCADE`);
      expect((await errorOf(store.snapshot("line"))).code).toBe("STORE_BROKEN");
      await store.close();
    });

    it("does not know what its texts cannot hold", async () => {
      const store = await openStore(place.fresh());
      expect((await errorOf(store.gallery("a\0b"))).code).toBe("GALLERY_NOT_FOUND");
      expect((await errorOf(store.createGallery(gallery("line", { modelHash: "a\0b" })))).code).toBe(
        "INVALID_ARGUMENT",
      );
      await store.createGallery(gallery());
      for (const number of [2 ** 31, Number.MAX_SAFE_INTEGER])
        expect((await errorOf(store.snapshot("line", number))).code).toBe("REVISION_NOT_FOUND");
      expect(await store.image("line", `${2 ** 40}-12345678`)).toBeNull();
      await store.close();
    });

    it("loses its connections and makes new ones", async () => {
      const address = place.fresh();
      const store: GalleryStore = await openStore(address);
      const heard: (string | null)[] = [];
      store.subscribe((name) => heard.push(name));
      await expect.poll(() => heard).toEqual([null]);
      await store.createGallery(gallery());
      await expect.poll(() => heard).toEqual([null, "line"]);
      await sql(
        address,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = '${place.name}' AND pid <> pg_backend_pid()`,
      );
      await expect.poll(() => store.head("line").catch(() => null)).toBe(0);
      await expect.poll(() => heard).toEqual([null, "line", null]);
      await store.addSamples("line", [sample("A", "1")], by);
      await expect.poll(() => heard.at(-1)).toBe("line");
      await store.close();
    });
  });
});
