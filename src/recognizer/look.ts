import { isProtolineError, type ProtolineError, stack } from "../core/index.ts";
import type { ImageLimits, Region } from "../data/types.ts";
import type { ViewKind } from "../fewshot/types.ts";
import type { Encoder, PictureEmbedding } from "../models/types.ts";
import type { NewSample } from "../store/pure.ts";
import { contentHash, keptImage, keptWhole, type Loaded, type PictureReader, toViews } from "./views.ts";

/** What looks at pictures. */
export interface Eye<Image> {
  readonly encoder: Encoder;
  readonly reader: PictureReader<Image>;
  readonly limits: Partial<ImageLimits> | undefined;
}

interface LookOptions {
  /** Views beside each picture as it is. */
  readonly views: readonly ViewKind[];
  readonly region: Region | undefined;
}

/**
 * Embeds pictures with their views: on other threads where the encoder has some and the pictures are encoded, else on this one.
 * One entry a picture, in order: its embeddings `[1 + views, dim]`, or what is wrong with it.
 */
export async function look<Image>(
  { encoder, reader, limits }: Eye<Image>,
  images: readonly Image[],
  { views, region }: LookOptions,
): Promise<readonly (PictureEmbedding | ProtolineError)[]> {
  if (encoder.embedEncoded && images.every((image) => image instanceof Uint8Array))
    return encoder.embedEncoded(
      images.map((bytes) => ({ bytes, views, ...(region && { region }), ...(limits && { limits }) })),
    );
  const started = performance.now();
  const decoded = await Promise.all(
    images.map(async (image): Promise<Float32Array[] | ProtolineError> => {
      try {
        return toViews(await reader.load(image, region), views, encoder.manifest);
      } catch (error) {
        if (isProtolineError(error)) return error;
        throw error;
      }
    }),
  );
  const embedStarted = performance.now();
  const embedded = await embedViews(
    encoder,
    decoded.map((it) => (it instanceof Error ? [] : it)),
  );
  // Times are shared evenly: what one picture of them cost.
  const ms = {
    decode: (embedStarted - started) / images.length,
    embed: (performance.now() - embedStarted) / images.length,
  };
  return decoded.map((it, i) =>
    it instanceof Error ? it : { embeddings: stack(embedded[i]!, encoder.embeddingDim), ms },
  );
}

/** As {@link look}, with the name of each picture by its content and what the store keeps of it. */
export async function lookAndKeep<Image>(
  { encoder, reader, limits }: Eye<Image>,
  images: readonly Image[],
  { views, region, keep }: LookOptions & { readonly keep: "original" | "thumbnail" | "none" },
): Promise<readonly ((PictureEmbedding & Pick<NewSample, "contentHash" | "image">) | ProtolineError)[]> {
  const loaded = new Map<Image | Uint8Array, Loaded>();
  const remembering: PictureReader<Image> = {
    ...reader,
    async load(image, part) {
      const one = await reader.load(image, part);
      loaded.set(image, one);
      return one;
    },
  };
  const looked = await look({ encoder, reader: remembering, limits }, images, { views, region });
  return Promise.all(
    looked.map(async (it, i) => {
      if (it instanceof Error) return it;
      const image = images[i]!;
      // What was embedded elsewhere and is kept as it came, or not at all, need not be decoded here once more.
      if (image instanceof Uint8Array && !loaded.has(image) && !region && keep !== "thumbnail")
        return {
          ...it,
          contentHash: contentHash(image, region),
          image: keep === "none" ? null : keptWhole(image),
        };
      const one = loaded.get(image) ?? (await reader.load(image, region));
      return { ...it, contentHash: one.contentHash, image: await keptImage(one, keep, reader) };
    }),
  );
}

/** One forward pass for all views of all pictures, split again by picture. */
export async function embedViews(
  encoder: Encoder,
  pictures: readonly (readonly Float32Array[])[],
): Promise<Float32Array[][]> {
  const inputs = pictures.flat();
  if (inputs.length === 0) return pictures.map(() => []);
  const { data, dim } = await encoder.embed(inputs);
  let at = 0;
  return pictures.map((views) =>
    views.map(() => {
      const start = at++ * dim;
      return data.slice(start, start + dim);
    }),
  );
}
