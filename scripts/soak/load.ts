import { connect } from "node:net";
import { drawPart, type PartKind } from "../../src/cli/demo/parts.ts";
import type { Rng } from "../../src/core/index.ts";
import type { Tally } from "./tally.ts";

/** Where a load goes, and with which keys: one a sender, as limits count by key. */
export interface Target {
  readonly address: string;
  readonly port: number;
  key(): string;
}

/** A picture that the gallery holds, and its class. */
export interface Known {
  readonly label: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface LoadOptions {
  readonly target: Target;
  readonly tally: Tally;
  readonly known: readonly Known[];
  /** Pictures of parts that the gallery does not hold. */
  readonly strange: readonly Uint8Array<ArrayBuffer>[];
  /** Ends the load. */
  readonly signal: AbortSignal;
}

export const gallery = "line";
/** What the editor enrolls and takes away again. */
const visitor: PartKind = "bolt";

const headersOf = (key: string, type?: string): Record<string, string> => ({
  authorization: `Bearer ${key}`,
  ...(type !== undefined && { "content-type": type }),
});

interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** A request that is not answered in half a minute has hung. */
async function ask(url: string, init: RequestInit): Promise<Reply | Error> {
  try {
    const reply = await fetch(url, { ...init, signal: AbortSignal.timeout(30_000) });
    const text = await reply.text();
    const json = reply.headers.get("content-type")?.includes("json") ?? false;
    return { status: reply.status, body: json ? JSON.parse(text) : { text } };
  } catch (error) {
    return error as Error;
  }
}

const shown = (reply: Reply | Error): string =>
  reply instanceof Error ? String(reply) : `${reply.status} ${JSON.stringify(reply.body).slice(0, 300)}`;
const errorCode = (reply: Reply): unknown => (reply.body.error as { code?: string } | undefined)?.code;

/** Repeats `step` every `ms`, later where it takes longer, until the end. */
async function every(ms: number, signal: AbortSignal, step: (i: number) => Promise<void>): Promise<void> {
  for (let i = 0, next = performance.now(); !signal.aborted; i++) {
    await step(i);
    next = Math.max(next + ms, performance.now());
    await new Promise((resolve) => setTimeout(resolve, next - performance.now()));
  }
}

/** A frame every 100 ms; what the gallery holds must be known by its name, and revisions never go back. */
export function camera({ target, tally, known, signal }: LoadOptions, rng: Rng): Promise<void> {
  const headers = headersOf(target.key(), "image/jpeg");
  const url = `${target.address}/v1/galleries/${gallery}/recognize`;
  let revision = 0;
  return every(100, signal, async () => {
    const { label, bytes } = known[rng.int(known.length)]!;
    const began = performance.now();
    const reply = await ask(url, { method: "POST", headers, body: bytes });
    if (!(reply instanceof Error) && reply.status === 503 && errorCode(reply) === "OVERLOADED")
      return tally.refuse();
    const right =
      !(reply instanceof Error) &&
      reply.status === 200 &&
      reply.body.kind === "known" &&
      reply.body.label === label &&
      Number(reply.body.revision) >= revision;
    if (!right) return tally.fail(`a frame of ${label} after revision ${revision}: ${shown(reply)}`);
    revision = Number(reply.body.revision);
    tally.answered(performance.now() - began);
    tally.count("frames");
  });
}

/** Frames that the gallery does not know, for the tray. */
export function stranger({ target, tally, strange, signal }: LoadOptions, rng: Rng): Promise<void> {
  const headers = headersOf(target.key(), "image/jpeg");
  const url = `${target.address}/v1/galleries/${gallery}/recognize`;
  return every(500, signal, async () => {
    const reply = await ask(url, { method: "POST", headers, body: strange[rng.int(strange.length)]! });
    if (!(reply instanceof Error) && reply.status === 503 && errorCode(reply) === "OVERLOADED")
      return tally.refuse();
    if (reply instanceof Error || reply.status !== 200) return tally.fail(`a strange frame: ${shown(reply)}`);
    tally.count("strange frames");
  });
}

/**
 * Enrolls a class of three pictures, sees that it is there at once, takes it away by a removal or a rollback, and sees that it is
 * gone. Each change that was acknowledged is one revision.
 *
 * @returns the number of the last revision that was acknowledged.
 */
export async function editor({ target, tally, signal }: LoadOptions, rng: Rng): Promise<number> {
  const key = target.key();
  const base = `${target.address}/v1/galleries/${gallery}`;
  const pictures = await Promise.all(Array.from({ length: 30 }, (_, i) => drawPart(visitor, rng.fork(i))));
  let head = Number(
    ((await ask(base, { headers: headersOf(key) })) as Reply & { body: { head: { number: number } } }).body
      .head.number,
  );
  /** The change must be the next revision. */
  const changed = (
    what: string,
    reply: Reply | Error,
    revision: (body: Reply["body"]) => unknown,
  ): boolean => {
    const good =
      !(reply instanceof Error) && [200, 201].includes(reply.status) && revision(reply.body) === head + 1;
    if (good) {
      head++;
      tally.count(what);
    } else tally.fail(`${what} after revision ${head}: ${shown(reply)}`);
    return good;
  };
  await every(700, signal, async (i) => {
    const label = `visitor ${i % 50}`;
    const at = `${base}/classes/${encodeURIComponent(label)}`;
    const three = Array.from({ length: 3 }, (_, k) => pictures[(3 * i + k) % pictures.length]!);
    const form = new FormData();
    for (const bytes of three)
      form.append("image", new Blob([new Uint8Array(bytes)], { type: "image/jpeg" }), "a.jpg");
    const enrolled = await ask(`${at}/samples`, { method: "POST", headers: headersOf(key), body: form });
    if (!changed("enrollments", enrolled, ({ revision }) => revision)) return;
    const look = async (): Promise<Reply | Error> => {
      // Refused frames are sent again: what is enrolled must be found in the end.
      for (;;) {
        const body = new Uint8Array(three[0]!);
        const reply = await ask(`${base}/recognize`, {
          method: "POST",
          headers: headersOf(key, "image/jpeg"),
          body,
        });
        if (reply instanceof Error || reply.status !== 503) return reply;
        tally.refuse();
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    };
    const found = await look();
    if (
      found instanceof Error ||
      found.status !== 200 ||
      found.body.label !== label ||
      found.body.revision !== head
    )
      tally.fail(`${label}, enrolled in revision ${head}: ${shown(found)}`);
    const removal =
      i % 2 === 0
        ? await ask(at, { method: "DELETE", headers: headersOf(key) })
        : await ask(`${base}/rollback`, {
            ...{ method: "POST", headers: headersOf(key, "application/json") },
            body: JSON.stringify({ to: head - 1 }),
          });
    if (!changed(i % 2 === 0 ? "removals" : "rollbacks", removal, ({ number }) => number)) return;
    const gone = await look();
    if (
      gone instanceof Error ||
      gone.status !== 200 ||
      gone.body.label === label ||
      gone.body.revision !== head
    )
      tally.fail(`${label}, gone since revision ${head}: ${shown(gone)}`);
  });
  return head;
}

/** What no client should send: each is answered with its error, and never with one of the server's own. */
export function vandal({ target, tally, known, signal }: LoadOptions, rng: Rng): Promise<void> {
  const key = target.key();
  const base = `${target.address}/v1/galleries/${gallery}`;
  const post = (path: string, type: string, body: string | Uint8Array<ArrayBuffer>, by = key) =>
    ask(`${base}/${path}`, { method: "POST", headers: headersOf(by, type), body });
  const garbage = (): Uint8Array<ArrayBuffer> =>
    Uint8Array.from({ length: 1 + rng.int(20_000) }, () => rng.int(256));
  const cut = (): Uint8Array<ArrayBuffer> => {
    const { bytes } = known[rng.int(known.length)]!;
    return bytes.slice(0, 100 + rng.int(bytes.length - 1000));
  };
  const bad: readonly (() => Promise<Reply | Error>)[] = [
    () => post("recognize", "image/jpeg", garbage()),
    () => post("recognize", "image/jpeg", cut()),
    () => post("recognize", "text/plain", "no picture"),
    () => post("recognize?topK=none", "image/jpeg", known[0]!.bytes),
    () => post("recognize", "multipart/form-data; boundary=B", "--B\r\nnothing"),
    () => post("classes/gear/samples", "image/jpeg", garbage()),
    () => post("rollback", "application/json", '{"to": 1e9}'),
    () => post("rollback", "application/json", '{"to": '),
    () => post("recognize", "image/jpeg", known[0]!.bytes, "no-such-key"),
    () => ask(`${target.address}/v1/galleries/none/classes`, { headers: headersOf(key) }),
    () => ask(`${target.address}/nowhere/${rng.int(1e9)}`, { headers: headersOf(key) }),
  ];
  return every(200, signal, async (i) => {
    if (i % (bad.length + 1) === bad.length) {
      await leaveHalfWay(target, key, known[0]!.bytes);
      return tally.count("clients that left");
    }
    const reply = await bad[i % (bad.length + 1)]!();
    // Where nothing more is let in, nothing is wrong with the request yet.
    if (!(reply instanceof Error) && errorCode(reply) === "OVERLOADED") return tally.refuse();
    if (
      reply instanceof Error ||
      reply.status < 400 ||
      reply.status >= 500 ||
      typeof errorCode(reply) !== "string"
    )
      return tally.fail(`bad request ${i % (bad.length + 1)}: ${shown(reply)}`);
    tally.count("bad requests");
  });
}

function leaveHalfWay({ port }: Target, key: string, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(
        `POST /v1/galleries/${gallery}/recognize HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${key}\r\n` +
          `content-type: image/jpeg\r\ncontent-length: ${bytes.length}\r\n\r\n`,
      );
      socket.write(bytes.subarray(0, bytes.length >> 1), () => socket.destroy());
    });
    socket.on("error", () => undefined);
    socket.once("close", () => resolve());
  });
}

/** The pages that people look at, and an export now and then. */
export function reader({ target, tally, signal }: LoadOptions): Promise<void> {
  const headers = headersOf(target.key());
  const base = `/v1/galleries/${gallery}`;
  const pages = [
    ...["/v1/galleries", `${base}/classes`, `${base}/samples`, `${base}/revisions?limit=20`, `${base}/tray`],
    ...["/readyz", `${base}/drift`, `${base}/quality`, `${base}/export`],
  ];
  return every(1000, signal, async (i) => {
    const path = pages[i % pages.length]!;
    const reply = await ask(`${target.address}${path}`, { headers });
    if (reply instanceof Error || reply.status !== 200) return tally.fail(`GET ${path}: ${shown(reply)}`);
    tally.count("pages read");
  });
}
