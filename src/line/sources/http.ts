import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { isProtolineError, ProtolineError, quote, sha256 } from "../../core/index.ts";
import { defaultImageLimits } from "../../data/index.ts";
import type { SourceSpec } from "../config.ts";
import type { Source, SourceContext } from "../types.ts";

/**
 * Cameras that send their pictures: `POST /frames`, the body is the picture, `x-frame-id`, `x-part`, `x-batch` and
 * `x-shift` are taken over. The reply is the result. Without room in the line it is 503 with `retry-after`.
 */
export function httpSource(
  spec: Extract<SourceSpec, { kind: "http" }>,
  env: Readonly<Record<string, string | undefined>>,
): Source & { port(): number | null } {
  const { port, host = "127.0.0.1", tokenEnv } = spec;
  let listening: number | null = null;
  const token = (): string | null => {
    if (tokenEnv === undefined) return null;
    const value = env[tokenEnv];
    if (value) return value;
    throw new ProtolineError("LINE_INVALID", {
      expected: `a token in the environment variable ${tokenEnv}`,
      got: "none",
      todo: "Set the variable before the line is started.",
    });
  };
  return {
    name: `http ${host}:${port}`,
    /** The port that was given by the system, for `port: 0`. */
    port: () => listening,
    async check() {
      token();
      const server = createServer();
      await listen(server, port, host).finally(() => server.close());
      return `${host}:${port} is free`;
    },
    async run(context) {
      const secret = token();
      const underWay = new Set<Promise<void>>();
      const server = createServer({ requestTimeout: 30_000 }, (request, response) => {
        const work = answer(request, response, secret, context).finally(() => underWay.delete(work));
        underWay.add(work);
      });
      listening = await listen(server, port, host);
      await new Promise<void>((resolve) =>
        context.signal.addEventListener("abort", () => resolve(), { once: true }),
      );
      server.close();
      server.closeIdleConnections();
      await Promise.all(underWay);
      listening = null;
    },
  };
}

function listen(server: ReturnType<typeof createServer>, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new ProtolineError("LINE_INVALID", {
          expected: `a free port ${port} on ${host}`,
          got: String(error.code),
          todo: "Stop what uses the port, or correct `port` and `host`.",
        }),
      ),
    );
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : port);
    });
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  secret: string | null,
  { accept, room, signal }: SourceContext,
): Promise<void> {
  const reply = (status: number, body: unknown, headers: Record<string, string> = {}): void => {
    if (response.destroyed) return;
    response.writeHead(status, { "content-type": "application/json", connection: "close", ...headers });
    response.end(JSON.stringify(body));
  };
  const problem = (status: number, expected: string, got: string, headers = {}): void =>
    reply(status, { error: { expected, got } }, headers);
  try {
    if (request.url !== "/frames") return problem(404, "POST /frames", quote(request.url ?? "", 100));
    if (request.method !== "POST") return problem(405, "POST", request.method ?? "", { allow: "POST" });
    if (secret !== null && !same(request.headers.authorization ?? "", `Bearer ${secret}`))
      return problem(401, "the bearer token of this line", "another or none", {
        "www-authenticate": "Bearer",
      });
    if (signal.aborted || !room())
      return problem(503, "room in the line", "none: its buffer is full", { "retry-after": "1" });
    const bytes = await body(request);
    if (!bytes) return problem(413, `a picture of at most ${defaultImageLimits.maxBytes} bytes`, "more");
    const of = (name: string): string | undefined => [request.headers[`x-${name}`] ?? []].flat()[0];
    const [part, batch, shift] = ["part", "batch", "shift"].map(of);
    const { handled } = await accept({
      id: of("frame-id") ?? sha256(bytes).slice(0, 32),
      bytes,
      origin: `http ${request.socket.remoteAddress ?? ""}`,
      time: Date.now(),
      ...(part !== undefined && { part }),
      ...(batch !== undefined && { batch }),
      ...(shift !== undefined && { shift }),
    });
    reply(200, await handled);
  } catch (error) {
    if (request.destroyed && !request.complete) return;
    const message = isProtolineError(error) ? error.message : "the line failed";
    problem(500, "an answer", message);
  }
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(sha256(Buffer.from(a))), Buffer.from(sha256(Buffer.from(b)))];
  return timingSafeEqual(left, right);
}

/** The whole body, or `null` where it is larger than a picture may be. */
async function body(request: IncomingMessage): Promise<Uint8Array | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > defaultImageLimits.maxBytes) return null;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
