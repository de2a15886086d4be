import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import helmet from "@fastify/helmet";
import multipart from "@fastify/multipart";
import rateLimit from "@fastify/rate-limit";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import Fastify, { type FastifyInstance, type FastifyServerOptions } from "fastify";
import type { Alerts } from "../alerts/index.ts";
import { type AuditLog, auditedStore } from "../audit/index.ts";
import { ProtolineError } from "../core/index.ts";
import type { Encoder } from "../models/types.ts";
import type { WatchOptions } from "../monitor/index.ts";
import type { RecognizerOptions } from "../recognizer/index.ts";
import { type Admission, embeddingFor } from "../serving/index.ts";
import type { GalleryStore } from "../store/store.ts";
import { guard } from "./auth.ts";
import { type Candidates, createCandidates } from "./candidate/index.ts";
import { consoleRoutes } from "./console.ts";
import type { Context } from "./context.ts";
import { allowOrigins } from "./cors.ts";
import { replyToBrokenRequest, replyWithError, routeNotFound } from "./errors.ts";
import { createGalleries } from "./galleries.ts";
import { acceptImages } from "./images.ts";
import { createJudge } from "./judge/index.ts";
import { createKeyring, type Keyring } from "./keys.ts";
import { createLearning, noLearning } from "./learning.ts";
import { resolveLimits, type ServerLimits } from "./limits.ts";
import { createLineEntry, type LineEntry, type LineSource } from "./line-entry.ts";
import { createLineMonitor } from "./line-monitor.ts";
import { guardedLogger } from "./logging.ts";
import { createMetrics } from "./metrics.ts";
import { createModels, type LearningOptions, type OpenModel } from "./models.ts";
import { observe } from "./observe.ts";
import { createTokenVerifier, type OidcOptions } from "./oidc.ts";
import { describe } from "./openapi.ts";
import { openOutbox } from "./outbox/index.ts";
import { boundPipelining } from "./pipelining.ts";
import { createRateStore } from "./rate-store.ts";
import { createRecognizing } from "./recognizing.ts";
import { candidateRoutes } from "./routes/candidate.ts";
import { candidatesRoute } from "./routes/candidates.ts";
import { checkRoute } from "./routes/check.ts";
import { classRoutes } from "./routes/classes.ts";
import { enrollRoutes } from "./routes/enroll.ts";
import { galleryRoutes } from "./routes/galleries.ts";
import { inferRoutes } from "./routes/infer.ts";
import { inferHealthRoutes } from "./routes/infer-health.ts";
import { mapRoutes } from "./routes/map.ts";
import { meRoute } from "./routes/me.ts";
import { monitorRoutes } from "./routes/monitor.ts";
import { moveRoute } from "./routes/move.ts";
import { outboxRoute } from "./routes/outbox.ts";
import { recognizeRoutes } from "./routes/recognize.ts";
import { streamRoute } from "./routes/stream.ts";
import { metricsRoute, systemRoutes } from "./routes/system.ts";
import { thumbnailOf, thumbnailRoute } from "./routes/thumbnails.ts";
import { transferRoutes } from "./routes/transfer.ts";
import { trayRoutes } from "./routes/tray.ts";
import { watchRoutes } from "./routes/watch.ts";
import { acceptSockets } from "./sockets.ts";
import { createTray, trayFolder } from "./tray/index.ts";
import { createWatching } from "./watching.ts";

export interface ServerOptions {
  /** Holds galleries and API keys. The caller closes it, after the server. */
  readonly store: GalleryStore;
  /** The model of new galleries, and of all galleries without `models`. The caller closes it, after the server. */
  readonly encoder: Encoder;
  /**
   * Further models that galleries and candidates may have, by the name in their manifest; each is opened when it is first
   * needed and closed when nothing needs it. Default none.
   */
  readonly models?: ReadonlyMap<string, OpenModel>;
  /** For encoders that are trained further on a gallery's pictures. Default: none is, and none that was is found. */
  readonly learning?: LearningOptions;
  /**
   * Whether the frames that are answered refine the limits of their classes, as revisions of their own; see
   * `createLineLearner`. Default false; `protoline serve` has it on.
   */
  readonly learnLimits?: boolean;
  /** Samples that a gallery gains until a candidate is tuned on them by itself. Default: when somebody asks. */
  readonly learnAfter?: number;
  /** Protoline's version, for `/v1/version`. */
  readonly version: string;
  /** How many recognitions of one frame are let in at a time. Default: as many as `limits.recognitions`. */
  readonly admission?: Admission;
  readonly limits?: Partial<ServerLimits>;
  /** See {@link RecognizerOptions}. */
  readonly keep?: RecognizerOptions["keep"];
  readonly onModelMismatch?: RecognizerOptions["onModelMismatch"];
  /** Fastify's: `true` for JSON lines on standard output, or pino's options. Default none. */
  readonly logger?: FastifyServerOptions["logger"];
  /** Tokens of people, beside API keys. Default none; with an issuer, every request must say who makes it. */
  readonly oidc?: OidcOptions;
  /** Log in which every change is written before it is made. Default none. The caller closes it, after the server. */
  readonly audit?: AuditLog;
  /** Origins whose pages may call the server from a browser, such as `https://console.example.com`. Default none. */
  readonly cors?: readonly string[];
  /** Folder of the built console, to be served at `/`; see `findConsole`. Default none. */
  readonly console?: string;
  /** Folder in which unknown and ambiguous frames outlive the server. Default none: they are kept in memory. */
  readonly tray?: string;
  /**
   * Folder in which enrollments wait while the store is away, of this server alone and on a disk that outlives it.
   * Default none: they are refused with STORE_UNAVAILABLE.
   */
  readonly outbox?: string;
  /** How the answers of each gallery are watched for drift; see `createDriftWatch`. */
  readonly watch?: WatchOptions;
  /** Told of drift, and of classes that are bad. Default none. The server closes them. */
  readonly alerts?: Alerts;
}

declare module "fastify" {
  interface FastifyInstance {
    /** The API keys of the server's store. */
    keyring: Keyring;
    /** The way in for frames of a line that runs in this process. */
    lineEntry(line: LineSource): LineEntry;
  }
}

/** Longer side, in pixels, of the pictures that are shown to who watches. */
const watchedSide = 480;
/** How often changes of other processes to the store are looked for. */
const followMs = 1000;

/**
 * The server, built but not listening: `inject` requests into it, or start it with `listen`.
 *
 * @throws INVALID_ARGUMENT for a limit that is no whole number of at least 1.
 */
export function buildServer(options: ServerOptions): FastifyInstance {
  const { encoder, version, keep, onModelMismatch, logger = false, oidc, cors = [], audit } = options;
  const store = audit
    ? auditedStore(options.store, audit, { who: "server", caller: "server", request: null })
    : options.store;
  const verifyToken = oidc ? createTokenVerifier(oidc) : null;
  const limits = resolveLimits(options.limits);
  const app = Fastify({
    logger: guardedLogger(logger),
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
  app.decorate("keyring", createKeyring(store, { tokens: oidc !== undefined }));
  app.decorateRequest("caller", null);

  const metrics = createMetrics(app);
  const imageLimits = { maxBytes: limits.imageBytes, maxPixels: limits.imagePixels };
  const models = createModels(encoder, options.models, options.learning);
  const galleries = createGalleries(
    ...([store, encoder, models, { keep, onModelMismatch, limits: imageLimits }, metrics] as const),
    () => [monitor, candidates, learning],
  );
  const learning = options.learnLimits
    ? createLearning(galleries.recognizer, (error) =>
        app.log.warn({ err: error }, "a limit that the line moved could not be written"),
      )
    : noLearning;
  app.addHook("preClose", () => learning.settled());
  const tray = createTray({
    recognizer: (gallery) => galleries.recognizer(gallery),
    ...(options.tray !== undefined && { folder: trayFolder(options.tray) }),
    onError: (error) => app.log.warn({ err: error }, "a frame did not reach the tray"),
  });
  app.addHook("onReady", () => tray.load());
  app.addHook("onClose", () => tray.settled());
  const outbox =
    options.outbox === undefined
      ? undefined
      : openOutbox(options.outbox, { store, galleries, metrics, log: app.log });
  if (outbox) {
    app.addHook("onReady", () => outbox.start());
    app.addHook("preClose", () => outbox.stop());
  }
  const { admission } = options;
  observe(metrics.registry, { store: options.store, audit, version, encoder, admission, outbox });
  const judge = createJudge();
  app.addHook("onClose", () => judge.close());
  const { alerts, watch } = options;
  const monitor = createLineMonitor({
    ...{ judge, recognizer: galleries.recognizer, registry: metrics.registry },
    ...(watch && { watch }),
    ...(alerts && { alerts }),
    onError: (error) => app.log.warn({ err: error }, "the line is not watched as it should be"),
  });
  // Before the galleries close: their end is not the end of what is wrong.
  app.addHook("preClose", () => monitor.close());
  const candidates: Candidates = createCandidates({
    ...{ store, galleries, models, imageLimits },
    ...(options.learning && { learning: options.learning }),
    ...(options.learnAfter !== undefined && { learnAfter: options.learnAfter }),
    onFrame: (gallery, outcome) => metrics.shadowed(gallery, outcome),
    onError: (error) => app.log.warn({ err: error }, "a candidate could not be made"),
  });
  app.addHook("preClose", () => candidates.close());
  const watching = createWatching({
    thumbnail: (frame) => thumbnailOf(frame, imageLimits, watchedSide),
  });
  const recognizing = createRecognizing({ galleries, metrics, limits, tray, watching, admission });
  app.decorate("lineEntry", (line: LineSource) => createLineEntry(line, { galleries, recognizing, encoder }));
  const context: Context = {
    ...{
      store,
      encoder,
      galleries,
      models,
      metrics,
      tray,
      recognizing,
      watching,
      judge,
      candidates,
      learning,
      monitor,
      alerts,
      outbox,
      admission,
      limits,
      version,
    },
  };

  boundPipelining(app);
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
    // Answers are of the moment, and pictures are not for the disks of browsers and proxies.
    reply.header("cache-control", "no-store");
  });
  // Before the guard: a browser asks whether it may ask, and sends no key with that.
  allowOrigins(app, cors);
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
    store: createRateStore(),
    keyGenerator: (request) =>
      request.caller ? `${request.caller.kind} ${request.caller.id}` : `address ${request.ip}`,
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
  acceptSockets(app, limits);

  app.register(async (open) => systemRoutes(open.withTypeProvider<TypeBoxTypeProvider>(), context));
  app.register(async (open) => inferHealthRoutes(open.withTypeProvider<TypeBoxTypeProvider>()));
  const folder = options.console;
  if (folder !== undefined)
    app.register(async (open) => consoleRoutes(open.withTypeProvider<TypeBoxTypeProvider>(), folder));
  app.register(async (scope) => {
    const guarded = scope.withTypeProvider<TypeBoxTypeProvider>();
    const allowed = guard(guarded, app.keyring, verifyToken);
    // What a request embeds gives way to frames, unless its route says that it is one.
    guarded.addHook("preHandler", (_request, _reply, done) =>
      embeddingFor({ priority: "bulk", waited: 0 }, done),
    );
    // Bodies of bytes are images here, and streams of any length there.
    guarded.register(async (inner) => transferRoutes(inner.withTypeProvider<TypeBoxTypeProvider>(), context));
    guarded.register(async (inner) => inferRoutes(inner.withTypeProvider<TypeBoxTypeProvider>(), context));
    guarded.register(async (inner) => {
      const routes = inner.withTypeProvider<TypeBoxTypeProvider>();
      acceptImages(routes, limits);
      recognizeRoutes(routes, context);
      streamRoute(routes, context, { allowed, cors });
      watchRoutes(routes, context, { allowed, cors });
      enrollRoutes(routes, context);
      galleryRoutes(routes, context);
      classRoutes(routes, context);
      monitorRoutes(routes, context);
      candidateRoutes(routes, context);
      candidatesRoute(routes, context);
      checkRoute(routes, context);
      trayRoutes(routes, context);
      mapRoutes(routes, context);
      moveRoute(routes, context);
      thumbnailRoute(routes, context);
      outboxRoute(routes, context);
      meRoute(routes);
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
