/** What the benches of a running line share: a server in a process of its own, and frames sent to it at a steady rate. */
import { spawn } from "node:child_process";
import { type buildServer, listen } from "../src/server/index.ts";

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

/** In the server's process: says where it listens, answers until SIGTERM, closes what is given in its order and ends. */
export async function answerUntilTerm(
  app: ReturnType<typeof buildServer>,
  ...behind: readonly { close(): Promise<unknown> }[]
): Promise<never> {
  console.log(await listen(app, { port: 0 }));
  await new Promise((resolve) => process.once("SIGTERM", resolve));
  await app.close();
  for (const one of behind) await one.close();
  process.exit(0);
}

export interface Served {
  readonly address: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Runs `script` again with `args`, as the server. */
export async function startServer(script: string, args: readonly string[]): Promise<Served> {
  const child = spawn(process.execPath, ["--import", "tsx", script, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.once("exit", () => child.kill());
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const address = await new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (text: Buffer) => resolve(text.toString().trim()));
    child.once("error", reject);
    void ended.then(() => reject(new Error("the server ended before it listened")));
  });
  return {
    address,
    pid: child.pid!,
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** The reply's object; throws where the server refuses. */
export async function send(url: string, method: string, body?: object): Promise<Record<string, unknown>> {
  const reply = await fetch(url, {
    method,
    ...(body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  const text = await reply.text();
  if (!reply.ok) throw new Error(`${method} ${url}: ${reply.status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

const postImage = (url: string, bytes: Uint8Array): Promise<Response> =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "image/jpeg" },
    body: new Uint8Array(bytes),
  });

export async function enroll(gallery: string, label: string, bytes: Uint8Array): Promise<void> {
  const reply = await postImage(`${gallery}/classes/${encodeURIComponent(label)}/samples`, bytes);
  if (!reply.ok) throw new Error(`enroll ${label}: ${reply.status} ${await reply.text()}`);
}

export interface Seen {
  /** Of each frame that was answered, from when it was due; in the order of the answers. */
  readonly ms: number[];
  failed: number;
  readonly models: Set<string>;
}

/**
 * Sends `frames` in turn at `rate` a second, each when it is due whatever became of those before it, while `more` of
 * the next one's number. Those due within the first `settleMs` (default 0) are not timed.
 */
export async function sendSteadily(
  gallery: string,
  frames: readonly Uint8Array[],
  { rate, more, settleMs = 0 }: { rate: number; more: (i: number) => boolean; settleMs?: number },
): Promise<Seen> {
  const seen: Seen = { ms: [], failed: 0, models: new Set() };
  const sent: Promise<void>[] = [];
  const start = performance.now();
  for (let i = 0; more(i); i++) {
    const due = start + (1000 * i) / rate;
    await sleep(due - performance.now());
    sent.push(
      postImage(`${gallery}/recognize`, frames[i % frames.length]!)
        .then(async (reply) => {
          const { model } = (await reply.json()) as { model: string };
          if (reply.ok) seen.models.add(model);
          else seen.failed++;
          if (due - start >= settleMs) seen.ms.push(performance.now() - due);
        })
        .catch(() => void seen.failed++),
    );
  }
  await Promise.all(sent);
  return seen;
}

/** The smallest value that a share `q` of them does not exceed. */
export const quantile = (values: readonly number[], q: number): number =>
  [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(q * values.length) - 1)] ?? Number.NaN;
