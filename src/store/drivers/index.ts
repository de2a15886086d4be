import type { Backend } from "../backend.ts";

/**
 * One line a driver; each, and the library that it needs, is loaded when it is first opened. `rest` is what stands after
 * the colon of the address: nothing for memory.
 */
export const drivers = {
  memory: async (_rest) => (await import("./memory.ts")).openMemory(),
  sqlite: async (rest) => (await import("./sqlite.ts")).openSqlite(rest),
  postgres: async (rest) => (await import("./postgres.ts")).openPostgres(`postgres:${rest}`),
  postgresql: async (rest) => (await import("./postgres.ts")).openPostgres(`postgres:${rest}`),
  redis: async (rest) => (await import("./redis.ts")).openRedis(`redis:${rest}`),
  rediss: async (rest) => (await import("./redis.ts")).openRedis(`rediss:${rest}`),
} as const satisfies Record<string, (rest: string) => Promise<Backend>>;
