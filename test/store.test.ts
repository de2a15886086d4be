import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { openStore } from "../src/store/index.ts";
import { storeContract } from "./store.contract.ts";
import { storeModel } from "./store.model.ts";

const folder = mkdtempSync(join(tmpdir(), "protoline-store-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

const memory = () => openStore("memory:");
const sqlite = () => openStore(`sqlite:${join(folder, `${files++}.db`)}`);

storeContract("memory", memory);
storeContract("sqlite", sqlite);
storeModel("memory", memory, 100);
storeModel("sqlite", sqlite, 20);
