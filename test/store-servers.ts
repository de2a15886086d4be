import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import pg from "pg";
import { expect, it } from "vitest";

/** A part of a server that belongs to one test file. */
export interface Place {
  readonly name: string;
  /** The address of an empty store. */
  fresh(): string;
  /** All that the test made. */
  remove(): Promise<void>;
}

/** What a test needs, or why it is not there. */
export type Found<T> = { readonly there: T } | { readonly missing: string };

/** Runs the tests with what was found. Without it they are skipped with the reason, and fail in CI. */
export function describeWith<T>(found: Found<T>, tests: (there: T) => void): void {
  if ("there" in found) tests(found.there);
  else it.runIf(process.env.CI)(`needs a server: ${found.missing}`, () => expect.fail(found.missing));
}

const unique = (): string => `protoline_test_${process.pid}_${randomBytes(4).toString("hex")}`;

/** A database of its own on the server of PROTOLINE_TEST_POSTGRES, default postgres://postgres@127.0.0.1:5432. */
export async function postgresServer(
  server = process.env.PROTOLINE_TEST_POSTGRES ?? "postgres://postgres@127.0.0.1:5432",
): Promise<Found<Place>> {
  const name = unique();
  const administer = async (sql: string): Promise<void> => {
    const client = new pg.Client({ connectionString: `${server}/postgres`, connectionTimeoutMillis: 3000 });
    try {
      await client.connect();
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  try {
    await administer(`CREATE DATABASE ${name}`);
  } catch (error) {
    return { missing: `no PostgreSQL answers at ${server}: ${error}` };
  }
  let schemas = 0;
  return {
    there: {
      name,
      fresh: () => `${server}/${name}?schema=s${schemas++}`,
      remove: () => administer(`DROP DATABASE ${name} WITH (FORCE)`),
    },
  };
}

/** Keys of its own on the server of PROTOLINE_TEST_REDIS, default redis://127.0.0.1:6379/0. */
export async function redisServer(
  server = process.env.PROTOLINE_TEST_REDIS ?? "redis://127.0.0.1:6379/0",
): Promise<Found<Place>> {
  const name = unique();
  const withClient = async (work: (client: Redis) => Promise<unknown>): Promise<void> => {
    const client = new Redis(server, { lazyConnect: true, retryStrategy: null, connectTimeout: 3000 });
    client.on("error", () => undefined);
    try {
      await client.connect();
      await work(client);
    } finally {
      client.disconnect();
    }
  };
  try {
    await withClient((client) => client.ping());
  } catch (error) {
    return { missing: `no Redis answers at ${server}: ${error}` };
  }
  let prefixes = 0;
  return {
    there: {
      name,
      fresh: () => `${server}?prefix=${name}:${prefixes++}:`,
      remove: () =>
        withClient(async (client) => {
          for await (const keys of client.scanStream({ match: `${name}:*`, count: 1000 }))
            if (keys.length > 0) await client.unlink(keys);
        }),
    },
  };
}
