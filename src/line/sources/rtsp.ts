import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { ProtolineError, quote } from "../../core/index.ts";
import { defaultImageLimits } from "../../data/index.ts";
import { again } from "../again.ts";
import type { SourceSpec } from "../config.ts";
import { cutJpegs } from "../jpegs.ts";
import { shown } from "../mqtt.ts";
import type { Source } from "../types.ts";

/** A camera that has sent no picture for so long is connected to anew. */
const silentMs = 15_000;
/** Given to ffmpeg to end by itself. */
const endMs = 2000;

/**
 * A network camera, read by ffmpeg, which is a program of its own and must be installed: RTSP, or motion JPEG over HTTP.
 * It is live: while one frame is answered the newest waits, and those in between are passed over. ffmpeg is started anew
 * when it ends, after pauses that grow. A video file (`file:`) is played once, at its own speed.
 */
export function rtspSource(
  { url, fps, passwordEnv, ffmpeg = "ffmpeg" }: Extract<SourceSpec, { kind: "rtsp" }>,
  env: Readonly<Record<string, string | undefined>>,
): Source {
  const address = (): { readonly href: string; readonly protocol: string } => {
    const parsed = URL.canParse(url) ? new URL(url) : null;
    if (!parsed || !/^(rtsps?|https?|file):$/.test(parsed.protocol))
      throw wrong(
        "rtsp://, rtsps://, http://, https:// or file:// and an address",
        shown(url),
        "Correct `url`.",
      );
    if (passwordEnv !== undefined) {
      const password = env[passwordEnv];
      if (!password)
        throw wrong(
          `a password in the environment variable ${passwordEnv}`,
          "none",
          "Set the variable before the line is started.",
        );
      parsed.password = encodeURIComponent(password);
    }
    return parsed;
  };
  const missing = (cause: NodeJS.ErrnoException): ProtolineError =>
    wrong(
      "ffmpeg on this machine, which reads the camera",
      `${quote(ffmpeg)} (${cause.code})`,
      "Install it, as with apt-get install ffmpeg, or give its path as `ffmpeg` of the source.",
    );
  return {
    name: `rtsp ${shown(url)}`,
    async check() {
      const { protocol } = address();
      const child = spawn(ffmpeg, ["-version"], { stdio: ["ignore", "pipe", "ignore"] });
      let text = "";
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      await new Promise<void>((resolve, reject) => {
        child.once("error", (error) => reject(missing(error)));
        child.once("close", () => resolve());
      });
      const version = /^ffmpeg version (\S+)/.exec(text)?.[1];
      if (version === undefined)
        throw wrong("ffmpeg, which reads the camera", quote(ffmpeg), "Correct `ffmpeg` of the source.");
      return `ffmpeg ${version}${protocol === "file:" ? "" : "; the camera was not asked"}`;
    },
    async run({ signal, accept, report }) {
      const { href, protocol } = address();
      let newest: { readonly bytes: Uint8Array; readonly time: number } | null = null;
      let passedOver = 0;
      let giving: Promise<void> | null = null;
      const give = async (): Promise<void> => {
        while (newest) {
          const frame = { id: randomUUID(), origin: shown(url), ...newest };
          newest = null;
          const { handled } = await accept(frame);
          await handled.catch((error: unknown) => report(`${shown(url)}: ${(error as Error).message}`));
        }
        giving = null;
      };
      const take = (bytes: Uint8Array): void => {
        if (newest) passedOver++;
        newest = { bytes, time: Date.now() };
        giving ??= give();
      };

      let told = "";
      const session = async (): Promise<boolean> => {
        const child = spawn(ffmpeg, commandOf(href, protocol, fps), { stdio: ["ignore", "pipe", "pipe"] });
        const end = (): void => {
          // One that could not be started has no process yet, and Node would signal whichever number its memory holds: 0 is
          // this whole group.
          if (child.pid === undefined) return;
          child.kill("SIGTERM");
          setTimeout(() => child.kill("SIGKILL"), endMs).unref();
        };
        signal.addEventListener("abort", end, { once: true });
        let silence = setTimeout(end, silentMs);
        let frames = 0;
        const cut = cutJpegs(defaultImageLimits.maxBytes, (bytes) => {
          if (frames++ === 0 && told !== "") report(`${shown(url)}: pictures come again`);
          clearTimeout(silence);
          silence = setTimeout(end, silentMs);
          take(bytes);
        });
        child.stdout.on("data", cut);
        let complaint = "";
        child.stderr.setEncoding("utf8").on("data", (text: string) => {
          complaint = (complaint + text).slice(-2000);
        });
        const code = await new Promise<number | null>((resolve, reject) => {
          child.once("error", (error) => reject(missing(error)));
          child.once("close", resolve);
        }).finally(() => {
          clearTimeout(silence);
          signal.removeEventListener("abort", end);
        });
        if (signal.aborted) return true;
        if (protocol === "file:" && code === 0) {
          await giving;
          report(`${shown(url)}: played to its end`);
          await new Promise<void>((resolve) => {
            signal.addEventListener("abort", () => resolve(), { once: true });
          });
          return true;
        }
        const why = complaint.replaceAll(href, shown(url)).trim().split("\n").at(-1);
        const event = `ffmpeg ended (${why || `code ${code}`}), trying again`;
        if (frames > 0 || event !== told) report(`${shown(url)}: ${event}`);
        told = event;
        return frames > 0;
      };
      await again(signal, session);
      await giving;
      if (passedOver > 0)
        report(`${shown(url)}: ${passedOver} frames were passed over, as a newer one was there`);
    },
  };
}

/** Pictures as they are, at most `fps` a second, one JPEG behind the other on the standard output. */
function commandOf(href: string, protocol: string, fps: number | undefined): string[] {
  const input = protocol.startsWith("rtsp")
    ? // UDP loses packets, and with them frames: only for a camera that has nothing else.
      ["-rtsp_flags", "prefer_tcp"]
    : protocol === "file:"
      ? ["-re"]
      : [];
  return [
    ...["-nostdin", "-hide_banner", "-loglevel", "error", ...input, "-i", href, "-an"],
    ...(fps === undefined ? [] : ["-vf", `fps=${fps}`]),
    ...["-c:v", "mjpeg", "-q:v", "2", "-f", "image2pipe", "pipe:1"],
  ];
}

const wrong = (expected: string, got: string, todo: string): ProtolineError =>
  new ProtolineError("LINE_INVALID", { expected, got, todo });
