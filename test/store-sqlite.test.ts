import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { afterAll, describe, expect, it } from "vitest";
import { isProtolineError, type ProtolineError } from "../src/core/index.ts";
import { createStore } from "../src/store/create-store.ts";
import { openSqlite } from "../src/store/drivers/sqlite.ts";
import { connect } from "../src/store/drivers/sqlite-connection.ts";
import { type GalleryStore, openStore } from "../src/store/index.ts";
import { by, gallery, sample } from "./store.contract.ts";

const folder = mkdtempSync(join(tmpdir(), "protoline-sqlite-"));
const mounts: string[] = [];
afterAll(() => {
  for (const path of mounts) execFileSync("umount", ["-l", path]);
  rmSync(folder, { recursive: true, force: true });
});
let files = 0;
const fresh = (): string => join(folder, `${files++}.db`);

/** A file system in memory of that size, where this user may mount one. */
function mount(size: string): string | null {
  const path = join(folder, `mount-${files++}`);
  mkdirSync(path);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path], { stdio: "ignore" });
    mounts.push(path);
    return path;
  } catch {
    return null;
  }
}

async function errorOf(promise: Promise<unknown>): Promise<ProtolineError> {
  const error = await promise.then(
    () => new Error("no error"),
    (reason: unknown) => reason,
  );
  if (!isProtolineError(error)) throw error;
  return error;
}

/** A database with a gallery of `count` samples, closed. */
async function made(count = 3): Promise<string> {
  const path = fresh();
  const store = await openStore(path);
  await store.createGallery(gallery());
  const samples = Array.from({ length: count }, (_, i) => sample("A", `${i}`));
  await store.addSamples("line", samples, by);
  await store.close();
  return path;
}

describe("the address of a store", () => {
  it("is memory:, sqlite:PATH or a path ending in .db", async () => {
    const path = join(folder, "made", "on the way", "teile 零件.db");
    for (const [url, driver] of [
      ["memory:", "memory"],
      [`sqlite:${path}`, "sqlite"],
      [path, "sqlite"],
    ] as const) {
      const store = await openStore(url);
      expect(store.driver).toBe(driver);
      await store.close();
    }
    for (const url of ["", "sqlite:", "memory:x", "mysql:host", "parts.txt", "constructor:x"]) {
      const error = await errorOf(openStore(url));
      expect(error.code).toBe("INVALID_ARGUMENT");
      expect(error.message).toContain("sqlite:PATH");
    }
  });
});

describe("an SQLite store", () => {
  it("is there again when it is opened again, and in another connection at once", async () => {
    const path = await made();
    const [one, two] = [await openStore(path), await openStore(path)];
    expect((await one.snapshot("line")).samples).toHaveLength(3);
    await two.addSamples("line", [sample("B", "new")], by);
    expect(await one.head("line")).toBe(2);
    expect((await one.snapshot("line")).samples.at(-1)!.label).toBe("B");
    await one.close();
    await two.close();
  });

  it("survives power cuts and readers: WAL, synchronous FULL, foreign keys", async () => {
    const db = await connect(await made(), 100);
    const pragma = (name: string) => db.first(`PRAGMA ${name}`)?.[0];
    expect(["journal_mode", "synchronous", "foreign_keys"].map(pragma)).toEqual(["wal", 2, 1]);
    db.close();
  });

  it("says that another process writes, after the time it may wait", async () => {
    const path = await made();
    const store = createStore(await openSqlite(path, { busyMs: 50 }));
    const other = new Database(path);
    other.exec("BEGIN IMMEDIATE");
    expect((await store.snapshot("line")).samples).toHaveLength(3);
    const error = await errorOf(store.addSamples("line", [sample("A", "x")], by));
    expect(error.code).toBe("STORE_BUSY");
    expect(error.message).toContain("Try again");
    expect((await errorOf(openSqlite(path, { busyMs: 50 }))).code).toBe("STORE_BUSY");
    other.exec("ROLLBACK");
    expect((await store.addSamples("line", [sample("A", "x")], by)).revision.samples).toBe(4);
    other.close();
    await store.close();
  });

  it("says what is wrong with a file that is no whole Protoline database", async () => {
    const text = fresh();
    writeFileSync(text, "This is a shopping list, not a database. ".repeat(300));
    const short = fresh();
    writeFileSync(short, "hi");
    const foreign = fresh();
    const raw = new Database(foreign);
    raw.exec("CREATE TABLE customer (name TEXT)");
    raw.close();
    const cut = await made(200);
    truncateSync(cut, 3 * 8192);
    const scratched = await made(200);
    const bytes = readFileSync(scratched);
    writeFileSync(scratched, bytes.fill(0xaa, 100, 4000));
    const through = join(text, "x.db");
    for (const [path, reason] of [
      [text, "not a database"],
      [short, "not a database"],
      [foreign, "another program"],
      [folder, "a folder"],
      [cut, "cut short"],
      [scratched, "malformed"],
      [through, "already exists"],
    ] as const) {
      const error = await errorOf(openStore(`sqlite:${path}`));
      expect([path, error.code]).toEqual([path, "STORE_BROKEN"]);
      expect(error.message.toLowerCase()).toContain(reason);
    }
    expect(readFileSync(text, "utf8")).toContain("shopping list");
  });

  it("reports damage inside when it meets it, and keeps working where there is none", async () => {
    const path = await made();
    const raw = new Database(path);
    raw.exec("UPDATE embedding SET data = x'00' WHERE seq = 2");
    raw.close();
    const store = await openStore(path);
    expect((await errorOf(store.snapshot("line"))).code).toBe("STORE_BROKEN");
    expect((await store.gallery("line")).head.samples).toBe(3);
    await store.close();
  });

  it("leaves a newer database alone", async () => {
    const path = await made();
    const raw = new Database(path);
    raw.exec("PRAGMA user_version = 99");
    raw.close();
    const error = await errorOf(openStore(path));
    expect(error.code).toBe("STORE_NEWER");
    expect(error.got).toBe("version 99");
    const after = new Database(path);
    expect(after.pragma("user_version")).toEqual([{ user_version: 99 }]);
    after.close();
  });

  it("says that it cannot be written", async (context) => {
    const path = await made();
    const readOnly = (): string | null => {
      if (process.getuid?.() !== 0) {
        chmodSync(path, 0o444);
        return path;
      }
      // Rights do not bind root; a file system that is read-only does.
      const mounted = mount("1m");
      if (mounted === null) return null;
      copyFileSync(path, join(mounted, "x.db"));
      execFileSync("mount", ["-o", "remount,ro", mounted]);
      return join(mounted, "x.db");
    };
    const where = readOnly();
    if (where === null) return context.skip("root without the right to mount cannot make a read-only file");
    const error = await errorOf(openStore(where));
    expect([error.code, error.todo]).toEqual(["STORE_READ_ONLY", expect.stringContaining("right to write")]);
  });

  /** Fills the store with pictures until it refuses; returns how many samples were acknowledged. */
  async function fill(store: GalleryStore): Promise<number> {
    for (let acknowledged = 0; ; acknowledged++) {
      const image = { bytes: new Uint8Array(100_000).fill(acknowledged), type: "image/jpeg", whole: true };
      try {
        await store.addSamples("line", [sample("A", `${acknowledged}`, { image })], by);
      } catch (error) {
        expect(isProtolineError(error) && error.code).toBe("STORE_FULL");
        return acknowledged;
      }
    }
  }

  async function checkFull(store: GalleryStore, acknowledged: number): Promise<void> {
    expect(acknowledged).toBeGreaterThan(3);
    const { samples, revision } = await store.snapshot("line");
    expect(revision.number).toBe(acknowledged);
    expect(samples.map(({ origin }) => origin)).toEqual(samples.map((_, i) => `${i}.jpg`));
    for (const [i, { id }] of samples.entries()) expect((await store.image("line", id))!.bytes[9]).toBe(i);
  }

  it("loses nothing when it reaches its largest size, and goes on when it may grow", async () => {
    const path = fresh();
    const small = createStore(await openSqlite(path, { maxPages: 150 }));
    await small.createGallery(gallery());
    const acknowledged = await fill(small);
    await checkFull(small, acknowledged);
    await small.close();
    const store = await openStore(path);
    await checkFull(store, acknowledged);
    expect((await store.addSamples("line", [sample("A", "more")], by)).added).toHaveLength(1);
    await store.close();
  });

  it("loses nothing when the disk is full, and goes on when there is space again", async (context) => {
    const disk = mount("4m");
    if (disk === null) return context.skip("a full disk needs the right to mount one");
    writeFileSync(join(disk, "filler"), new Uint8Array(1_500_000));
    const store = await openStore(join(disk, "x.db"));
    await store.createGallery(gallery());
    const acknowledged = await fill(store);
    await checkFull(store, acknowledged);
    rmSync(join(disk, "filler"));
    const image = { bytes: new Uint8Array(200_000), type: "image/jpeg", whole: true };
    const more = await store.addSamples("line", [sample("A", "more", { image })], by);
    expect(more.revision.number).toBe(acknowledged + 1);
    await store.close();
    const again = await openStore(join(disk, "x.db"));
    expect((await again.snapshot("line")).samples).toHaveLength(acknowledged + 1);
    await again.close();
  });
});
