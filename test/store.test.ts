import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { openStore } from "../src/store/index.ts";
import { storeContract } from "./store.contract.ts";

const folder = mkdtempSync(join(tmpdir(), "protoline-store-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

storeContract("memory", () => openStore("memory:"));
storeContract("sqlite", () => openStore(`sqlite:${join(folder, `${files++}.db`)}`));
