import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import type { Redis } from "ioredis";
import { ProtolineError, quote } from "../../core/index.ts";
import type { ServerAddress } from "../address.ts";
import { translate } from "./redis-errors.ts";

export type Argument = string | number | Buffer;
export type Command = readonly [name: string, ...args: Argument[]];

export interface Connection {
  /** Texts in the reply are bytes. */
  send(command: Command): Promise<unknown>;
  /** Alone among all that lock this store. Throws STORE_BUSY. */
  locked<T>(work: (lock: Lock) => Promise<T>): Promise<T>;
  /** Counts the changes. */
  clock(): Promise<string>;
  listen(channel: string, hear: (message: string | null) => void): void;
  close(): void;
}

export interface Lock {
  /** Does all commands at once and gives the lock back, or does none. */
  commit(commands: readonly Command[]): Promise<void>;
}

/** The layout of the keys; a newer Protoline that changes it raises the number. */
const version = 1;
/** After this time without a sign of its holder a lock is free again: the holder has died. */
const lockMs = 3000;
/** How long a command may be without an answer before the server counts as gone. */
const answerMs = 30_000;

/**
 * Whoever holds the lock no longer is refused: so a writer that was thought dead cannot write over another's change. The
 * first write is the one that Redis refuses when its memory is full, and then refuses all; past it nothing can fail.
 */
const commitScript = `
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
  redis.call('HINCRBY', KEYS[2], 'clock', 1)
  local i = 2
  while i <= #ARGV do
    local n = tonumber(ARGV[i])
    redis.call(unpack(ARGV, i + 1, i + n))
    i = i + n + 1
  end
  redis.call('DEL', KEYS[1])
  return 1`;
const renewScript =
  "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end";
const releaseScript = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";

/** Throws STORE_UNAVAILABLE, STORE_NEWER, STORE_BROKEN. */
export async function connect(
  { url, shown, part: prefix }: ServerAddress,
  busyMs: number,
): Promise<Connection> {
  const { Redis: Client } = await import("ioredis");
  const client = new Client(url, {
    lazyConnect: true,
    connectTimeout: 5000,
    commandTimeout: answerMs,
    retryStrategy: (times) => Math.min(50 * times, 500),
    // A call while there is no connection fails now and not later; one whose answer was lost is never sent twice.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // Those are told when the connection breaks; else they would be told nothing until `commandTimeout`.
    maxRetriesPerRequest: 0,
    keepAlive: 10_000,
  });
  let lost: Error | null = null;
  client.on("error", (error) => {
    lost = error;
  });
  client.on("ready", () => {
    lost = null;
  });
  const listening: Redis[] = [];
  const guarded = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer;
    } catch (error) {
      throw translate(error, shown, lost);
    }
  };
  const send = ([name, ...args]: Command): Promise<unknown> => guarded(client.callBuffer(name, args));
  const [lockKey, meta] = [`${prefix}lock`, `${prefix}meta`];

  async function take(token: string): Promise<void> {
    // Longer than a lock that nobody holds any more.
    const end = performance.now() + busyMs + lockMs;
    while ((await send(["SET", lockKey, token, "NX", "PX", lockMs])) === null) {
      if (performance.now() > end)
        throw new ProtolineError("STORE_BUSY", {
          expected: `no other process writing for long at ${quote(shown, 200)}`,
          got: "a lock that is held",
          todo: "Try again, or end the other process.",
        });
      await setTimeout(2 + 4 * Math.random());
    }
  }

  try {
    await guarded(client.connect());
    // Where there is no database of that number, ioredis would go on in number 0.
    await send(["SELECT", client.options.db ?? 0]);
    await prepare(send, meta, `${quote(shown, 200)}, prefix ${quote(prefix)}`);
  } catch (error) {
    client.disconnect();
    throw error;
  }

  return {
    send,
    async locked(work) {
      const token = randomUUID();
      await take(token);
      const renewing = setInterval(
        () => send(["EVAL", renewScript, 1, lockKey, token, lockMs]).catch(() => undefined),
        lockMs / 3,
      );
      let committed = false;
      try {
        return await work({
          async commit(commands) {
            const flat = commands.flatMap((command) => [command.length, ...command]);
            const done = await send(["EVAL", commitScript, 2, lockKey, meta, token, ...flat]);
            committed = done === 1;
            if (!committed)
              throw new ProtolineError("STORE_BUSY", {
                expected: `a change that is made within ${lockMs} ms of its last sign of life at ${quote(shown, 200)}`,
                got: "one whose lock another writer holds by now",
                todo: "Try again; nothing of it was kept.",
              });
          },
        });
      } finally {
        clearInterval(renewing);
        if (!committed) await send(["EVAL", releaseScript, 1, lockKey, token]).catch(() => undefined);
      }
    },
    clock: async () => String(await send(["HGET", meta, "clock"])),
    listen(channel, hear) {
      const ear = client.duplicate({ enableOfflineQueue: true, autoResubscribe: false });
      ear.on("error", () => undefined);
      ear.on("ready", () =>
        ear.subscribe(channel).then(
          () => hear(null),
          () => undefined,
        ),
      );
      ear.on("message", (_channel, message) => hear(message));
      ear.connect().catch(() => undefined);
      listening.push(ear);
    },
    close() {
      for (const ear of listening) ear.disconnect();
      client.disconnect();
    },
  };
}

async function prepare(send: Connection["send"], meta: string, where: string): Promise<void> {
  const memory = String(await send(["INFO", "memory"]));
  const policy = /^maxmemory_policy:(.*?)\r?$/m.exec(memory)?.[1] ?? "";
  if (policy.startsWith("allkeys-") && !/^maxmemory:0\r?$/m.test(memory))
    throw new ProtolineError("STORE_BROKEN", {
      expected: `a server that forgets no keys at ${where}`,
      got: `maxmemory-policy ${policy}`,
      todo: "Set maxmemory-policy noeviction; full memory is then told as STORE_FULL.",
    });
  await send(["HSETNX", meta, "version", version]);
  const found = String(await send(["HGET", meta, "version"]));
  if (Number(found) > version)
    throw new ProtolineError("STORE_NEWER", {
      expected: `version ${version} or older at ${where}`,
      got: `version ${found}`,
      todo: "Update Protoline, or choose another store.",
    });
  if (Number(found) !== version)
    throw new ProtolineError("STORE_BROKEN", {
      expected: `a version at ${where}`,
      got: quote(found),
      todo: "Choose another prefix.",
    });
}
