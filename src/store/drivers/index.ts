import type { Backend } from "../backend.ts";

/** One line a driver; each is loaded when it is first opened. `rest` is what stands after the colon of the address. */
export const drivers: Readonly<Record<string, (rest: string) => Promise<Backend>>> = {
  memory: async () => (await import("./memory.ts")).openMemory(),
};
