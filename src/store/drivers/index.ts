import type { Backend } from "../backend.ts";

/** One line a driver; each is loaded when it is first opened. `rest` is what stands after the colon of the address: nothing for memory. */
export const drivers = {
  memory: async (_rest) => (await import("./memory.ts")).openMemory(),
  sqlite: async (rest) => (await import("./sqlite.ts")).openSqlite(rest),
} as const satisfies Record<string, (rest: string) => Promise<Backend>>;
