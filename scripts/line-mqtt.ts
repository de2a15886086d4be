import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import mqtt from "mqtt";
import { drawPart } from "../src/cli/demo/parts.ts";
import { createRng } from "../src/core/index.ts";
import type { LineResult } from "../src/line/index.ts";
import { Recognizer } from "../src/recognizer/index.ts";
import { publish } from "./results.ts";

/**
 * A camera sends pictures to a broker, a line answers them, a listener takes the answers; in between the broker is
 * stopped and started again. Needs `mosquitto`, which it starts itself, and the built command line.
 */
const { values } = parseArgs({
  options: {
    frames: { type: "string", default: "1000" },
    rate: { type: "string", default: "20" },
    /** Seconds without a broker. */
    down: { type: "string", default: "3" },
  },
});
const [frames, rate, down] = [values.frames, values.rate, values.down].map(Number) as [
  number,
  number,
  number,
];

const folder = await mkdtemp(join(tmpdir(), "protoline-line-mqtt-"));
const port = await new Promise<number>((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address();
    server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
  });
});
const url = `mqtt://127.0.0.1:${port}`;
await writeFile(
  join(folder, "broker.conf"),
  `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location ${folder}/\nmax_queued_messages 0\nuser root\n`,
);
const children: ChildProcess[] = [];
const run = (command: string, args: readonly string[]): ChildProcess => {
  const child = spawn(command, args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  children.push(child);
  return child;
};
const ended = (child: ChildProcess): Promise<unknown> =>
  child.exitCode === null ? new Promise((resolve) => child.once("exit", resolve)) : Promise.resolve();
const startBroker = async (): Promise<ChildProcess> => {
  const broker = run("mosquitto", ["-c", join(folder, "broker.conf")]);
  for (;;) {
    const client = await mqtt.connectAsync(url, { reconnectPeriod: 0 }).catch(() => null);
    if (client) {
      await client.endAsync();
      return broker;
    }
    await setTimeout(50);
  }
};

try {
  const rng = createRng(1);
  const recognizer = await Recognizer.open({ model: "compact", store: `sqlite:${join(folder, "line.db")}` });
  const kinds = ["washer", "gear", "bracket"] as const;
  const draw = (kind: (typeof kinds)[number], stream: number) => drawPart(kind, rng.fork(stream));
  for (const [k, kind] of kinds.entries())
    await recognizer.enroll(
      kind,
      await Promise.all(Array.from({ length: 10 }, (_, i) => draw(kind, 10 * k + i))),
    );
  await recognizer.close();
  const pictures = await Promise.all(
    Array.from({ length: 30 }, async (_, i) => ({
      kind: kinds[i % 3]!,
      bytes: await draw(kinds[i % 3]!, 1000 + i),
    })),
  );
  await writeFile(
    join(folder, "line.yaml"),
    JSON.stringify({
      name: "restart",
      sources: [{ kind: "mqtt", url, topic: "camera", clientId: "line" }],
      sinks: [{ kind: "mqtt", url, topic: "results" }],
    }),
  );

  let broker = await startBroker();
  const main = new URL("../dist/cli/main.js", import.meta.url).pathname;
  const line = run(process.execPath, [
    main,
    "line",
    "run",
    "line.yaml",
    "--store",
    "sqlite:line.db",
    "--quiet",
  ]);

  const answered = new Map<string, { result: LineResult; at: number; times: number }>();
  const listener = await mqtt.connectAsync(url, { clientId: "listener", clean: false, reconnectPeriod: 200 });
  listener.on("message", (_, payload) => {
    const result = JSON.parse(payload.toString()) as LineResult;
    const before = answered.get(result.id);
    answered.set(result.id, { result, at: before?.at ?? performance.now(), times: (before?.times ?? 0) + 1 });
  });
  await listener.subscribeAsync("results", { qos: 1 });
  const camera = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 200 });
  for (const client of [listener, camera]) client.on("error", () => undefined);
  const send = (id: string, bytes: Uint8Array): Promise<unknown> =>
    camera.publishAsync("camera", Buffer.from(bytes), { qos: 1, properties: { userProperties: { id } } });
  // Until the line listens.
  while (![...answered.keys()].some((id) => id.startsWith("hello"))) {
    await send(`hello ${randomUUID()}`, pictures[0]!.bytes);
    await setTimeout(200);
  }
  answered.clear();

  const sent = new Map<string, { kind: string; at: number }>();
  const began = performance.now();
  let restart: Promise<void> | undefined;
  for (let i = 0; i < frames; i++) {
    const wait = began + (1000 * i) / rate - performance.now();
    if (wait > 0) await setTimeout(wait);
    if (i === Math.floor(frames / 2))
      restart = (async () => {
        broker.kill("SIGTERM");
        await ended(broker);
        await setTimeout(1000 * down);
        broker = await startBroker();
      })();
    const { kind, bytes } = pictures[i % pictures.length]!;
    const id = `frame ${i}`;
    sent.set(id, { kind, at: performance.now() });
    void send(id, bytes);
  }
  await restart;
  for (let quiet = 0, seen = -1; quiet < 50 && answered.size < frames; quiet++) {
    if (answered.size !== seen) quiet = 0;
    seen = answered.size;
    await setTimeout(200);
  }
  line.kill("SIGTERM");
  await ended(line);

  const all = [...sent].map(([id, { kind, at }]) => ({ kind, at, got: answered.get(id) }));
  const missing = all.filter(({ got }) => !got).length;
  const wrong = all.filter(
    ({ kind, got }) => got?.result.answer.kind === "known" && got.result.answer.label !== kind,
  ).length;
  const unknown = all.filter(({ got }) => got && got.result.answer.kind !== "known").length;
  const repeated = all.filter(({ got }) => got && got.times > 1).length;
  const times = all.flatMap(({ at, got }) => (got ? [got.at - at] : [])).sort((a, b) => a - b);
  const at = (share: number): string =>
    `${Math.round(times[Math.min(times.length - 1, Math.floor(share * times.length))]!)}`;
  await camera.endAsync();
  await listener.endAsync();
  broker.kill("SIGTERM");
  await ended(broker);
  await publish({
    name: "line-mqtt",
    title: "A line over MQTT, its broker restarted",
    about: [
      `${frames} pictures at ${rate} a second to a topic; the line answers them on another (QoS 1 throughout, sessions kept). After half of them the broker is stopped with SIGTERM and is away for ${down} s; the camera goes on. Frames carry an id; an answer that comes twice has the same one. Times are from the camera's send to the listener, the pause of the broker included.`,
    ],
    tables: [
      {
        columns: [
          "sent",
          "answered",
          "missing",
          "answered twice",
          "wrong",
          "unknown or ambiguous",
          "p50 ms",
          "p99 ms",
          "longest ms",
        ],
        rows: [
          [frames, times.length, missing, repeated, wrong, unknown, at(0.5), at(0.99), at(1)].map(String),
        ],
      },
    ],
    seed: 1,
    data: {
      frames,
      rate,
      down,
      answered: times.length,
      missing,
      repeated,
      wrong,
      unknown,
      times: [at(0.5), at(0.99), at(1)].map(Number),
    },
  });
  if (missing > 0) process.exitCode = 1;
} finally {
  for (const child of children) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
}
