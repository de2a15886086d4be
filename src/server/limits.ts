import { ProtolineError } from "../core/index.ts";

/** What one client may ask of the server. All are whole numbers of at least 1. */
export interface ServerLimits {
  /** Bytes of one image. Default 32 MiB. */
  readonly imageBytes: number;
  /** Width × height of one image. Default 100 million. */
  readonly imagePixels: number;
  /** Bytes of one whole request, all its files together. Default 128 MiB. */
  readonly bodyBytes: number;
  /** Bytes of an archive that is imported. Default 1 GiB. */
  readonly importBytes: number;
  /** Images in one multipart request. Default 100. */
  readonly files: number;
  /** Requests a minute by one API key, or by one address where no key is used. Default 6000. */
  readonly requestsPerMinute: number;
  /** Recognition requests that run or wait at a time. Default 512. */
  readonly recognitions: number;
  /** WebSocket streams that are open at a time, and as many on which somebody watches. Default 64. */
  readonly streams: number;
  /** Milliseconds in which a recognition must be answered, whatever the number of its images. Default 30 000. */
  readonly recognizeMs: number;
  /** Milliseconds in which a request must have arrived whole. Default 60 000. */
  readonly requestMs: number;
  /** Milliseconds after which a connection on which nothing moves is closed. Default 120 000. */
  readonly idleMs: number;
  /** Milliseconds that a connection is kept for the client's next request. Default 72 000. */
  readonly keepAliveMs: number;
  /** Milliseconds that running requests are given when the server closes. Default 10 000. */
  readonly closeMs: number;
  /** Bytes of the request line and headers together. Default 16 KiB. */
  readonly headerBytes: number;
}

const defaults: ServerLimits = {
  imageBytes: 32 * 2 ** 20,
  imagePixels: 100e6,
  bodyBytes: 128 * 2 ** 20,
  importBytes: 2 ** 30,
  files: 100,
  requestsPerMinute: 6000,
  recognitions: 512,
  streams: 64,
  recognizeMs: 30_000,
  requestMs: 60_000,
  idleMs: 120_000,
  keepAliveMs: 72_000,
  closeMs: 10_000,
  headerBytes: 16 * 1024,
};

export function resolveLimits(given: Partial<ServerLimits> = {}): ServerLimits {
  const limits = { ...defaults, ...given };
  for (const [name, value] of Object.entries(limits))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new ProtolineError("INVALID_ARGUMENT", {
        expected: `a whole number of at least 1 as limit ${name}`,
        got: String(value),
        todo: "Correct the limit, or leave it out for its default.",
      });
  return limits;
}
