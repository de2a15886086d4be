import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import helmet from "@fastify/helmet";
import multipart from "@fastify/multipart";
import rateLimit from "@fastify/rate-limit";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import Fastify, { type FastifyInstance, type FastifyServerOptions } from "fastify";
import { ProtolineError } from "../core/index.ts";
import type { Encoder } from "../models/types.ts";
import type { RecognizerOptions } from "../recognizer/index.ts";
import type { GalleryStore } from "../store/store.ts";
import { guard } from "./auth.ts";
import type { Context } from "./context.ts";
import { replyToBrokenRequest, replyWithError, routeNotFound } from "./errors.ts";
import { createGalleries } from "./galleries.ts";
import { acceptImages } from "./images.ts";
import { createKeyring, type Keyring } from "./keys.ts";
import { resolveLimits, type ServerLimits } from "./limits.ts";
import { createMetrics } from "./metrics.ts";
import { describe } from "./openapi.ts";
import { classRoutes } from "./routes/classes.ts";
import { enrollRoutes } from "./routes/enroll.ts";
import { galleryRoutes } from "./routes/galleries.ts";
import { recognizeRoutes } from "./routes/recognize.ts";
import { metricsRoute, systemRoutes } from "./routes/system.ts";
import { transferRoutes } from "./routes/transfer.ts";

export interface ServerOptions {
  /** Holds galleries and API keys. The caller closes it, after the server. */
  readonly store: GalleryStore;
  /** The one model of all galleries that this server answers for. The caller closes it, after the server. */
  readonly encoder: Encoder;
  /** Protoline's version, for `/v1/version`. */
  readonly version: string;
  readonly limits?: Partial<ServerLimits>;
  /** See {@link RecognizerOptions}. */
  readonly keep?: RecognizerOptions["keep"];
  readonly onModelMismatch?: RecognizerOptions["onModelMismatch"];
  /** Fastify's: `true` for JSON lines on standard output, or pino's options. Default none. */
  readonly logger?: FastifyServerOptions["logger"];
}

declare module "fastify" {
  interface FastifyInstance {
    /** The API keys of the server's store. */
    keyring: Keyring;
  }
}

/** How often changes of other processes to the store are looked for. */
const followMs = 1000;

/**
 * The server, built but not listening: `inject` requests into it, or start it with `listen`.
 *
 * @throws INVALID_ARGUMENT for a limit that is no whole number of at least 1.
 */
export function buildServer(options: ServerOptions): FastifyInstance {
  const { store, encoder, version, keep, onModelMismatch, logger = false } = options;
  const limits = resolveLimits(options.limits);
  const app = Fastify({
    logger,
    genReqId: () => randomUUID(),
    bodyLimit: 2 ** 20,
    connectionTimeout: limits.idleMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    forceCloseConnections: "idle",
    // A request on an open connection is still answered while the server closes, as any other.
    return503OnClosing: false,
    http: {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.requestMs,
      connectionsCheckingInterval: Math.min(limits.requestMs, 1000),
    },
    routerOptions: { maxParamLength: limits.headerBytes },
    // An unknown field is an error that names it, not something to drop.
    ajv: { customOptions: { removeAdditional: false } },
    clientErrorHandler: replyToBrokenRequest,
    frameworkErrors: replyWithError,
  }).withTypeProvider<TypeBoxTypeProvider>();

  // The schemas describe the replies, tests hold them to it; filtering each reply through them would only cost time.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler(replyWithError);
  app.setNotFoundHandler(routeNotFound);
  app.decorate("keyring", createKeyring(store));
  app.decorateRequest("caller", null);

  const metrics = createMetrics(app);
  const imageLimits = { maxBytes: limits.imageBytes, maxPixels: limits.imagePixels };
  const galleries = createGalleries(store, encoder, { keep, onModelMismatch, limits: imageLimits }, metrics);
  const context: Context = { store, encoder, galleries, metrics, limits, version };

  app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
    // Whether there is TLS is known to the proxy in front, not here.
    strictTransportSecurity: false,
  });
  app.register(rateLimit, {
    max: limits.requestsPerMinute,
    timeWindow: 60_000,
    keyGenerator: (request) => (request.caller ? `key ${request.caller.id}` : `address ${request.ip}`),
    errorResponseBuilder: (_request, { max, ttl }) =>
      new ProtolineError("TOO_MANY_REQUESTS", {
        expected: `at most ${max} requests a minute`,
        got: "more",
        todo: `Wait ${Math.ceil(ttl / 1000)} s, and send several images in one multipart request.`,
      }),
  });
  // A file that is too large is cut off and marked, so that it spoils itself alone.
  app.register(multipart, { throwFileSizeLimit: false });
  describe(app, version);

  app.register(async (open) => systemRoutes(open.withTypeProvider<TypeBoxTypeProvider>(), context));
  app.register(async (scope) => {
    const guarded = scope.withTypeProvider<TypeBoxTypeProvider>();
    guard(guarded, app.keyring);
    // Bodies of bytes are images here, and streams of any length there.
    guarded.register(async (inner) => transferRoutes(inner.withTypeProvider<TypeBoxTypeProvider>(), context));
    guarded.register(async (inner) => {
      const routes = inner.withTypeProvider<TypeBoxTypeProvider>();
      acceptImages(routes, limits);
      recognizeRoutes(routes, context);
      enrollRoutes(routes, context);
      galleryRoutes(routes, context);
      classRoutes(routes, context);
      metricsRoute(routes, context);
    });
  });

  let following: NodeJS.Timeout | undefined;
  let busy = false;
  app.addHook("onReady", async () => {
    following = setInterval(() => {
      if (busy) return;
      busy = true;
      galleries
        .follow()
        .catch((error: unknown) => app.log.error({ err: error }, "the store does not answer"))
        .finally(() => {
          busy = false;
        });
    }, followMs).unref();
  });
  const sockets = new Set<Socket>();
  app.server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  app.addHook("preClose", async () => {
    clearInterval(following);
    // Connections that clients opened in advance: Node does not count them as idle.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    // Node stops its own timeouts of slow requests when a server closes.
    setTimeout(() => app.server.closeAllConnections(), limits.closeMs).unref();
  });
  app.addHook("onClose", () => galleries.close());
  return app;
}
