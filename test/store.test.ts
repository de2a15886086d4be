import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { openMemory } from "../src/store/drivers/memory.ts";
import { openPostgres } from "../src/store/drivers/postgres.ts";
import { openRedis } from "../src/store/drivers/redis.ts";
import { openSqlite } from "../src/store/drivers/sqlite.ts";
import { openStore } from "../src/store/index.ts";
import { changesAreWhole, storeContract } from "./store.contract.ts";
import { storeModel } from "./store.model.ts";
import { describeWith, postgresServer, redisServer } from "./store-servers.ts";

const folder = mkdtempSync(join(tmpdir(), "protoline-store-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const fresh = () => join(folder, `${files++}.db`);

const memory = () => openStore("memory:");
const sqlite = () => openStore(`sqlite:${fresh()}`);

storeContract("memory", memory);
storeContract("sqlite", sqlite);
storeModel("memory", memory, 100);
storeModel("sqlite", sqlite, 20);

changesAreWhole("memory", async () => openMemory());
changesAreWhole("sqlite", () => openSqlite(fresh()));

describeWith(await postgresServer(), (place) => {
  afterAll(() => place.remove());
  const postgres = () => openStore(place.fresh());
  storeContract("postgres", postgres);
  storeModel("postgres", postgres, 20);
  changesAreWhole("postgres", () => openPostgres(place.fresh()));
});

describeWith(await redisServer(), (place) => {
  afterAll(() => place.remove());
  const redis = () => openStore(place.fresh());
  storeContract("redis", redis);
  storeModel("redis", redis, 20);
  changesAreWhole("redis", () => openRedis(place.fresh()));
});
