import { openStore } from "../src/store/index.ts";
import { storeContract } from "./store.contract.ts";

storeContract("memory", () => openStore("memory:"));
