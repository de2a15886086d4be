import { randomUUID } from "node:crypto";
import { ProtolineError } from "../../core/index.ts";
import { defaultImageLimits } from "../../data/index.ts";
import { again } from "../again.ts";
import type { SourceSpec } from "../config.ts";
import { shown } from "../mqtt.ts";
import type { FrameFacts, Source } from "../types.ts";

const connectMs = 5000;
/** A camera server is pinged so often, and given up when it has not said anything since the last time. */
const pingMs = 10_000;

/**
 * A camera server that sends its pictures as binary messages of a WebSocket; the line connects to it, and again when the
 * connection breaks. A text message before a picture may say of it `id`, `part`, `batch` and `shift`, as JSON. While the
 * line is full it reads no further, so that the server has to wait.
 */
export function websocketSource(
  { url, tokenEnv }: Extract<SourceSpec, { kind: "websocket" }>,
  env: Readonly<Record<string, string | undefined>>,
): Source {
  const connect = async () => {
    if (!/^wss?:$/.test(URL.canParse(url) ? new URL(url).protocol : ""))
      throw wrong("ws://HOST or wss://HOST", shown(url), "Correct `url`.");
    const token = tokenEnv === undefined ? undefined : env[tokenEnv];
    if (tokenEnv !== undefined && !token)
      throw wrong(
        `a token in the environment variable ${tokenEnv}`,
        "none",
        "Set the variable before the line is started.",
      );
    const { default: WebSocket } = await import("ws");
    return new WebSocket(url, {
      handshakeTimeout: connectMs,
      maxPayload: defaultImageLimits.maxBytes,
      perMessageDeflate: false,
      ...(token && { headers: { authorization: `Bearer ${token}` } }),
    });
  };
  return {
    name: `websocket ${shown(url)}`,
    async check() {
      const socket = await connect();
      await new Promise<void>((resolve, reject) => {
        socket.once("open", () => resolve());
        socket.once("error", ({ message }) =>
          reject(
            wrong(`a WebSocket at ${shown(url)}`, message, "Start the camera server, or correct `url`."),
          ),
        );
      }).finally(() => {
        socket.on("error", () => undefined);
        socket.terminate();
      });
      return `${shown(url)} answers`;
    },
    async run({ signal, accept, report }) {
      const underWay = new Set<Promise<unknown>>();
      /** Frames are given to the line in the order in which they came. */
      let giving: Promise<void> = Promise.resolve();
      let told = "";
      const tell = (event: string): void => {
        if (event !== told) report(`${shown(url)}: ${event}`);
        told = event;
      };
      const session = async (): Promise<boolean> => {
        const socket = await connect();
        let facts: FrameFacts & { readonly id?: string } = {};
        let waiting = 0;
        let alive = true;
        let opened = false;
        const leave = (): void =>
          socket.readyState === socket.OPEN ? socket.close(1000) : socket.terminate();
        signal.addEventListener("abort", leave, { once: true });
        if (signal.aborted) leave();
        const beat = setInterval(() => {
          // While the line lets it wait, it cannot be heard.
          if (!alive && waiting === 0) socket.terminate();
          alive = false;
          if (socket.readyState === socket.OPEN) socket.ping();
        }, pingMs);
        let reason = "";
        socket.on("error", ({ message }) => {
          reason = message;
        });
        socket.on("open", () => {
          opened = true;
          tell("connected");
        });
        socket.on("pong", () => {
          alive = true;
        });
        socket.on("message", (data, isBinary) => {
          alive = true;
          if (!isBinary) {
            facts = factsOf(String(data));
            return;
          }
          const { id = randomUUID(), ...rest } = facts;
          facts = {};
          // With the default `binaryType` a message is one Buffer.
          const frame = { id, bytes: data as Buffer, origin: shown(url), time: Date.now(), ...rest };
          if (waiting++ === 0) socket.pause();
          giving = giving.then(async () => {
            const { handled } = await accept(frame);
            const work = handled
              .catch((error: unknown) => report(`${shown(url)}: ${(error as Error).message}`))
              .finally(() => underWay.delete(work));
            underWay.add(work);
            if (--waiting === 0) socket.resume();
          });
        });
        const code = await new Promise<number>((resolve) => socket.once("close", resolve));
        clearInterval(beat);
        signal.removeEventListener("abort", leave);
        if (!signal.aborted) tell(`no connection (${reason || `closed with ${code}`}), trying again`);
        return opened;
      };
      await again(signal, session);
      await giving;
      await Promise.all(underWay);
    },
  };
}

/** What a text message says of the next picture; anything else in it is passed by. */
function factsOf(text: string): FrameFacts & { readonly id?: string } {
  try {
    const said = JSON.parse(text) as Record<string, unknown> | null;
    return Object.fromEntries(
      (["id", "part", "batch", "shift"] as const).flatMap((name) => {
        const value = said?.[name];
        return typeof value === "string" && value !== "" ? [[name, value.slice(0, 256)]] : [];
      }),
    );
  } catch {
    return {};
  }
}

const wrong = (expected: string, got: string, todo: string): ProtolineError =>
  new ProtolineError("LINE_INVALID", { expected, got, todo });
