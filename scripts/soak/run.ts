import { loadavg } from "node:os";
import { join } from "node:path";
import { drawPart, type PartKind } from "../../src/cli/demo/parts.ts";
import { createRng } from "../../src/core/index.ts";
import { createApiKey } from "../../src/server/index.ts";
import { openStore } from "../../src/store/index.ts";
import { startServed } from "./child.ts";
import { camera, editor, gallery, type Known, type LoadOptions, reader, stranger, vandal } from "./load.ts";
import { createTally } from "./tally.ts";

/** What a stretch of the run was; bytes are the median of its seconds, of the heap the least. */
export interface Window {
  /** Its middle, minutes from the beginning of the load. */
  readonly minute: number;
  readonly rss: number;
  readonly heap: number;
  /** Memory outside the heap that its objects hold. */
  readonly external: number;
  readonly frames: number;
  readonly p50: number;
  readonly p99: number;
  /** Load average of the machine. */
  readonly load: number;
}

export interface Soaked {
  readonly windows: readonly Window[];
  readonly counts: Readonly<Record<string, number>>;
  readonly refused: number;
  readonly failed: number;
  readonly failures: readonly string[];
  /** Of the last revision that was acknowledged, and that of the store after the end. */
  readonly revisions: { readonly acknowledged: number; readonly stored: number };
  /** Exit status of the server after SIGTERM. */
  readonly exit: number | null;
}

export interface SoakOptions {
  /** An empty folder for store, audit log and tray. */
  readonly folder: string;
  readonly minutes: number;
  readonly seed: number;
  readonly windowSeconds: number;
}

const stable: readonly PartKind[] = ["washer", "gear", "motor housing"];
const cameras = 4;
/** What the server lets in is to be answered in this time. */
export const answerWithinMs = 1000;

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

/** A server of its own process under mixed load: cameras, an editor, a reader, and one who sends what nobody should. */
export async function soak({ folder, minutes, seed, windowSeconds }: SoakOptions): Promise<Soaked> {
  const rng = createRng(seed);
  const address = `sqlite:${join(folder, "soak.db")}`;
  const keys: string[] = [];
  const store = await openStore(address);
  for (let i = 0; i < cameras + 5; i++) {
    const { key, record } = createApiKey({ name: `sender ${i}`, scopes: ["admin"] });
    await store.putApiKey(record);
    keys.push(key);
  }
  await store.close();
  const served = await startServed({
    folder,
    args: [
      ...["--audit", join(folder, "audit.jsonl"), "--tray", join(folder, "tray")],
      // Beside other work answers take longer; what is refused for that would test nothing.
      ...["--answer-within-ms", String(answerWithinMs)],
    ],
    env: { PROTOLINE_STORE: address },
  });
  try {
    const watcher = { authorization: `Bearer ${keys.pop()!}` };
    const json = { ...watcher, "content-type": "application/json" };
    await fetch(`${served.address}/v1/galleries`, {
      method: "POST",
      headers: json,
      body: JSON.stringify({ name: gallery }),
    });
    const known: Known[] = [];
    for (const label of stable)
      for (let i = 0; i < 8; i++) {
        const bytes = new Uint8Array(await drawPart(label, rng.fork(known.length)));
        const url = `${served.address}/v1/galleries/${gallery}/classes/${encodeURIComponent(label)}/samples`;
        const headers = { ...watcher, "content-type": "image/jpeg" };
        const reply = await fetch(url, { method: "POST", headers, body: bytes });
        if (reply.status !== 201) throw new Error(await reply.text());
        known.push({ label, bytes });
      }
    const strange = await Promise.all(
      Array.from(
        { length: 60 },
        async (_, i) => new Uint8Array(await drawPart("bracket", rng.fork(1000 + i))),
      ),
    );

    const tally = createTally();
    const end = new AbortController();
    const options: LoadOptions = {
      target: { address: served.address, port: served.port, key: () => keys.pop()! },
      ...{ tally, known, strange, signal: end.signal },
    };
    const began = performance.now();
    const edited = editor(options, rng.fork(1));
    const load = Promise.all([
      ...Array.from({ length: cameras }, (_, i) => camera(options, rng.fork(10 + i))),
      ...[stranger(options, rng.fork(2)), vandal(options, rng.fork(3)), reader(options), edited],
    ]);
    const windows: Window[] = [];
    let seen: { rss: number; heap: number; external: number }[] = [];
    const figure = (text: string, name: string): number =>
      Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
    const watch = async (): Promise<void> => {
      const reply = await fetch(`${served.address}/metrics`, {
        headers: watcher,
        signal: AbortSignal.timeout(30_000),
      });
      const text = await reply.text();
      seen.push({
        rss: served.rss(),
        heap: figure(text, "nodejs_heap_size_used_bytes"),
        external: figure(text, "nodejs_external_memory_bytes"),
      });
    };
    const close = (minute: number): void => {
      const times = tally.take();
      windows.push({
        minute,
        rss: quantile(sorted(seen.map(({ rss }) => rss)), 0.5),
        heap: Math.min(...seen.map(({ heap }) => heap)),
        external: quantile(sorted(seen.map(({ external }) => external)), 0.5),
        frames: times.length,
        ...{ p50: quantile(times, 0.5), p99: quantile(times, 0.99) },
        load: loadavg()[0]!,
      });
      seen = [];
    };
    const count = Math.round((minutes * 60) / windowSeconds);
    for (let i = 0; i < count; i++) {
      const until = began + 1000 * windowSeconds * (i + 1);
      do {
        await watch();
        await new Promise((resolve) => setTimeout(resolve, Math.min(1000, until - performance.now())));
      } while (performance.now() < until - 1);
      close(((i + 0.5) * windowSeconds) / 60);
    }
    end.abort();
    await load;
    const exit = await served.stop();
    const after = await openStore(address);
    const { number: stored } = (await after.gallery(gallery)).head;
    await after.close();
    const { counts, refused, failed, failures } = tally;
    return {
      windows,
      counts,
      refused,
      failed,
      failures,
      revisions: { acknowledged: await edited, stored },
      exit,
    };
  } finally {
    served.child.kill("SIGKILL");
  }
}
