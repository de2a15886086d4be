import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { env, InferenceSession, type Tensor } from "onnxruntime-node";
import { ProtolineError, quote } from "../core/index.ts";
import { loadError, messageOf, runError } from "./errors.ts";
import { type Provider, providers, providerWorks, requireProvider } from "./providers.ts";

// Failures arrive as exceptions and become coded errors; the runtime's own lines on stderr would only repeat them.
env.logLevel = "fatal";

export interface SessionOptions {
  /** Where the model runs. Default `cpu`. */
  readonly provider?: Provider;
  /** Threads of one operator, 1 or more. Default: the runtime's choice, one a physical core. */
  readonly threads?: number;
  /** Run on `cpu` when the provider does not work here, visible as {@link Session.provider}. Default false: an error. */
  readonly fallback?: boolean;
}

/** An input or output. A dimension is a number, or the name of one that each run may choose. */
export interface TensorInfo {
  readonly name: string;
  readonly type: Tensor.Type;
  readonly shape: readonly (number | string)[];
}

/** One user's hold on a loaded model. */
export interface Session {
  /** The provider that runs the model. */
  readonly provider: Provider;
  /** The provider that was asked for; differs from `provider` only with `fallback`. */
  readonly requested: Provider;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /**
   * Runs the model. The runtime computes on the calling JavaScript thread, so a long run holds up everything else
   * there: keep batches small, or run in a worker.
   * @param fetches names of the outputs wanted; default all.
   */
  run(
    feeds: Readonly<Record<string, Tensor>>,
    fetches?: readonly string[],
  ): Promise<Readonly<Record<string, Tensor>>>;
  /** Gives the hold back, after runs under way have finished. The last one to close frees the model. */
  close(): Promise<void>;
}

interface Shared {
  readonly loaded: Promise<{ readonly session: InferenceSession; readonly provider: Provider }>;
  holders: number;
}

/** Loaded models by content and options. More than this at once is a leak, not a use. */
const shared = new Map<string, Shared>();
const maxLoaded = 64;

/** How many models are loaded now; for tests and health. */
export function loadedModels(): number {
  return shared.size;
}

/**
 * Loads a model, or shares it with those who loaded the same bytes with the same options.
 * The file is read whole, so weights must lie inside it.
 *
 * @param model path of an `.onnx` file, or its bytes (not to be changed afterwards).
 * Throws MODEL_NOT_FOUND, MODEL_BROKEN, MODEL_UNSUPPORTED, PROVIDER_UNAVAILABLE, SESSION_LIMIT, INVALID_ARGUMENT.
 */
export async function openSession(
  model: string | Uint8Array,
  options: SessionOptions = {},
): Promise<Session> {
  const { provider = "cpu", threads, fallback = false } = options;
  checkOptions(provider, threads);
  const name = typeof model === "string" ? quote(model) : "the model";
  const bytes = typeof model === "string" ? await readModelFile(model) : model;
  const key = `${createHash("sha256").update(bytes).digest("hex")} ${provider} ${threads ?? 0} ${fallback}`;

  let entry = shared.get(key);
  if (!entry) {
    if (shared.size >= maxLoaded)
      throw new ProtolineError("SESSION_LIMIT", {
        expected: `at most ${maxLoaded} different models open at once`,
        got: `one more, ${name}`,
        todo: "Close sessions and encoders that are no longer used.",
      });
    entry = { loaded: load(bytes, name, { provider, threads, fallback }), holders: 0 };
    shared.set(key, entry);
  }
  entry.holders++;
  try {
    const { session, provider: running } = await entry.loaded;
    return lease(session, running, provider, () => drop(key, entry, session));
  } catch (error) {
    if (shared.get(key) === entry) shared.delete(key);
    throw error;
  }
}

async function drop(key: string, entry: Shared, session: InferenceSession): Promise<void> {
  if (--entry.holders > 0) return;
  shared.delete(key);
  await session.release();
}

function lease(
  session: InferenceSession,
  provider: Provider,
  requested: Provider,
  onClose: () => Promise<void>,
): Session {
  const underWay = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;
  return {
    provider,
    requested,
    inputs: tensorInfos(session.inputMetadata),
    outputs: tensorInfos(session.outputMetadata),
    async run(feeds, fetches) {
      if (closing)
        throw new ProtolineError("INVALID_ARGUMENT", {
          expected: "an open session",
          got: "one that was closed",
          todo: "Open the model again.",
        });
      const running = fetches ? session.run(feeds, fetches) : session.run(feeds);
      underWay.add(running);
      try {
        return (await running) as Readonly<Record<string, Tensor>>;
      } catch (error) {
        throw runError(error);
      } finally {
        underWay.delete(running);
      }
    },
    close() {
      closing ??= Promise.allSettled(underWay).then(onClose);
      return closing;
    },
  };
}

async function load(
  bytes: Uint8Array,
  name: string,
  { provider, threads, fallback }: { provider: Provider; threads?: number; fallback: boolean },
): Promise<{ session: InferenceSession; provider: Provider }> {
  if (!fallback) await requireProvider(provider);
  const running = provider === "cpu" || (await providerWorks(provider)) ? provider : "cpu";
  try {
    const session = await InferenceSession.create(bytes, {
      executionProviders: [running],
      logSeverityLevel: 4,
      ...(threads ? { intraOpNumThreads: threads } : {}),
    });
    return { session, provider: running };
  } catch (error) {
    throw loadError(error, name);
  }
}

async function readModelFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new ProtolineError("MODEL_NOT_FOUND", {
      expected: "a readable model file",
      got: `${quote(path)} (${(error as NodeJS.ErrnoException).code ?? messageOf(error)})`,
      todo: "Check the path and its permissions.",
      cause: error,
    });
  }
}

function checkOptions(provider: string, threads: number | undefined): void {
  if (!providers.some((known) => known === provider))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: `a provider of ${providers.join(", ")}`,
      got: quote(provider),
      todo: "Name one of those.",
    });
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 1024))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a whole number of threads from 1 to 1024",
      got: String(threads),
      todo: "Leave the number out to let the runtime choose.",
    });
}

function tensorInfos(values: readonly InferenceSession.ValueMetadata[]): TensorInfo[] {
  return values.flatMap((value) =>
    value.isTensor ? [{ name: value.name, type: value.type, shape: value.shape }] : [],
  );
}
