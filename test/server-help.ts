import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from "fastify";
import sharp from "sharp";
import { stack } from "../src/core/index.ts";
import type { DecisionSpec } from "../src/fewshot/types.ts";
import type { Encoder, Manifest } from "../src/models/types.ts";
import { buildServer, createApiKey, type ServerOptions } from "../src/server/index.ts";
import { type ApiScope, type GalleryStore, openStore } from "../src/store/index.ts";

const decision: DecisionSpec = {
  views: { support: [], query: [] },
  transform: { power: null, normalize: true, center: "none" },
  head: { kind: "prototype", metric: "cosine" },
  openSet: { falseRejectRate: 0.05 },
  ambiguity: { margin: 0.05 },
};

const cells = 4;

const manifest: Manifest = {
  format: 1,
  name: "cell-means",
  version: "1.0.0",
  model: { sha256: "0".repeat(64), bytes: 0 },
  input: "image",
  output: "embedding",
  embeddingDim: 3 * cells * cells,
  pooling: "none",
  preprocess: {
    size: [16, 16],
    fit: "stretch",
    interpolation: "bilinear",
    padding: 0,
    channels: "rgb",
    mean: [0, 0, 0],
    std: [255, 255, 255],
    standardize: "none",
  },
  decision,
  priors: { baseMean: null, limits: { deviation: 0.34, oneShot: [{ rate: 0.05, threshold: 0.1 }] } },
  provenance: { origin: "test", license: "Apache-2.0", trainedOn: "nothing" },
};

export interface TestEncoder extends Encoder {
  /** Milliseconds that an embedding takes beyond its work. */
  delay: number;
  /** Embeddings under way. */
  running: number;
}

/** An encoder without a network: the mean colour of each cell of a 4 × 4 grid. */
export function cellMeans(): TestEncoder {
  const side = 16 / cells;
  const encoder: TestEncoder = {
    manifest,
    embeddingDim: manifest.embeddingDim,
    modelHash: "c".repeat(64),
    delay: 0,
    running: 0,
    embed: async (inputs) => {
      encoder.running++;
      if (encoder.delay > 0) await new Promise((resolve) => setTimeout(resolve, encoder.delay));
      encoder.running--;
      return stack(
        inputs.map((pixels) => {
          const means = new Float32Array(manifest.embeddingDim);
          pixels.forEach((value, i) => {
            const [channel, y, x] = [Math.floor(i / 256), Math.floor(i / 16) % 16, i % 16];
            const cell = (channel * cells + Math.floor(y / side)) * cells + Math.floor(x / side);
            means[cell] = means[cell]! + value / (side * side);
          });
          return means;
        }),
        manifest.embeddingDim,
      );
    },
    close: async () => undefined,
  };
  return encoder;
}

export type Color = readonly [r: number, g: number, b: number];
export const red: Color = [210, 30, 30];
export const green: Color = [30, 190, 40];
export const blue: Color = [30, 40, 200];

/** A real encoded picture of one colour with a grey block; `seed` moves the block and shifts the colour a little. */
export async function picture(
  [r, g, b]: Color,
  seed = 0,
  format: "jpeg" | "png" | "webp" = "jpeg",
): Promise<Buffer> {
  const shift = (value: number): number => Math.max(0, Math.min(255, value + ((seed * 7) % 11) - 5));
  const block = await sharp({
    create: { width: 12, height: 12, channels: 3, background: { r: 128, g: 128, b: 128 } },
  })
    .png()
    .toBuffer();
  return sharp({
    create: {
      width: 96,
      height: 80,
      channels: 3,
      background: { r: shift(r), g: shift(g), b: shift(b) },
    },
  })
    .composite([{ input: block, left: (seed * 13) % 80, top: (seed * 29) % 64 }])
    .toFormat(format)
    .toBuffer();
}

/** A PNG that says it has `width` × `height` pixels and holds none. */
export function hugePng(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    const crc = Buffer.alloc(4);
    crc.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, crc]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    chunk("IHDR", header),
    chunk("IDAT", Buffer.from("789c030000000001", "hex")),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

export interface TestServer {
  readonly app: FastifyInstance;
  readonly store: GalleryStore;
  readonly encoder: TestEncoder;
  close(): Promise<void>;
}

/** A server over a memory store with the empty gallery `line-1`. */
export async function testServer(options: Partial<ServerOptions> = {}): Promise<TestServer> {
  const store = options.store ?? (await openStore("memory:"));
  const encoder = cellMeans();
  const app = buildServer({ store, encoder, version: "0.0.0-test", ...options });
  if (!(await store.galleries()).some(({ name }) => name === "line-1"))
    await store.createGallery({
      name: "line-1",
      model: manifest.name,
      modelHash: encoder.modelHash,
      dim: encoder.embeddingDim,
      decision,
      who: "test",
    });
  return {
    app,
    store,
    encoder,
    close: async () => {
      await app.close();
      await store.close();
    },
  };
}

export async function newKey(
  store: GalleryStore,
  name: string,
  scopes: readonly ApiScope[],
): Promise<string> {
  const { key, record } = createApiKey({ name, scopes });
  await store.putApiKey(record);
  return key;
}

export function enroll(
  app: FastifyInstance,
  label: string,
  image: Uint8Array,
  query: Record<string, string> = {},
  gallery = "line-1",
): Promise<LightMyRequestResponse> {
  return app.inject({
    method: "POST",
    url: `/v1/galleries/${gallery}/classes/${encodeURIComponent(label)}/samples`,
    query,
    headers: { "content-type": "image/jpeg" },
    payload: Buffer.from(image),
  });
}

export function recognize(
  app: FastifyInstance,
  image: Uint8Array,
  query: Record<string, string> = {},
  gallery = "line-1",
): Promise<LightMyRequestResponse> {
  return app.inject({
    method: "POST",
    url: `/v1/galleries/${gallery}/recognize`,
    query,
    headers: { "content-type": "image/jpeg" },
    payload: Buffer.from(image),
  });
}

/** Three pictures each of red and green parts. */
export async function enrollColors(app: FastifyInstance): Promise<void> {
  for (const [label, color] of [
    ["red", red],
    ["green", green],
  ] as const)
    for (let seed = 0; seed < 3; seed++) await enroll(app, label, await picture(color, seed));
}

/** A multipart request of files. */
export function multipart(files: readonly { name: string; bytes: Uint8Array }[]): {
  readonly headers: Record<string, string>;
  readonly payload: Buffer;
} {
  const boundary = "----protoline-test-boundary";
  const parts = files.flatMap(({ name, bytes }) => [
    Buffer.from(
      `--${boundary}\r\ncontent-disposition: form-data; name="image"; filename="${name}"\r\n` +
        "content-type: image/jpeg\r\n\r\n",
    ),
    Buffer.from(bytes),
    Buffer.from("\r\n"),
  ]);
  return {
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    payload: Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]),
  };
}

export function request(
  app: FastifyInstance,
  method: InjectOptions["method"],
  url: string,
  payload?: object,
) {
  return app.inject({ method, url, ...(payload && { payload }) });
}
