import type { FastifyInstance, FastifyRequest } from "fastify";
import { isProtolineError, ProtolineError, quote } from "../core/index.ts";
import { checkRegion, decodePicture } from "../data/index.ts";
import type { Region } from "../data/types.ts";
import type { EnrollResult } from "../recognizer/types.ts";
import type { ServerLimits } from "./limits.ts";

/** An image of a request, or why it cannot be taken. */
export type Upload = { readonly origin: string } & (
  | { readonly bytes: Uint8Array }
  | { readonly error: ProtolineError }
);

/** Raw bodies arrive as a buffer; multipart bodies are read by {@link readUploads}. */
export function acceptImages(app: FastifyInstance, limits: ServerLimits): void {
  const options = { parseAs: "buffer", bodyLimit: Math.min(limits.imageBytes, limits.bodyBytes) } as const;
  for (const type of [/^image\//, "application/octet-stream"])
    app.addContentTypeParser(type, options, (_request, body, done) => done(null, body));
}

const tooLarge = (limit: number, what: string): ProtolineError =>
  new ProtolineError("BODY_TOO_LARGE", {
    expected: `at most ${limit} bytes in ${what}`,
    got: "more",
    todo: "Send smaller images or fewer at a time.",
  });

/**
 * The images of a request: one of a raw body, named `origin`, or all files of a multipart body. A file that is too
 * large spoils itself alone.
 */
export async function readUploads(
  request: FastifyRequest,
  limits: ServerLimits,
  origin = "image 1",
): Promise<readonly Upload[]> {
  if (!request.isMultipart()) {
    if (!(request.body instanceof Uint8Array))
      throw new ProtolineError("CONTENT_TYPE_UNSUPPORTED", {
        expected: "an image as image/jpeg, image/png, …, application/octet-stream or multipart/form-data",
        got: request.headers["content-type"] ? quote(request.headers["content-type"]) : "none",
        todo: "Set the content type; with curl, -H 'content-type: image/jpeg' --data-binary @part.jpg.",
      });
    return [{ origin, bytes: request.body }];
  }
  if (Number(request.headers["content-length"] ?? 0) > limits.bodyBytes)
    throw tooLarge(limits.bodyBytes, "one request");
  try {
    return await readFiles(request, limits);
  } catch (error) {
    // The rest is let run out: parsing a body of nothing but boundaries, after the refusal, takes seconds a megabyte.
    request.raw.unpipe();
    request.raw.resume();
    // The parser's own errors are plain ones; fastify's have a status.
    if (isProtolineError(error) || "statusCode" in (error as object)) throw error;
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a well-formed multipart body",
      got: quote((error as Error).message),
      todo: "Let the client library write body and content-type header, with the boundary.",
      cause: error,
    });
  }
}

async function readFiles(request: FastifyRequest, limits: ServerLimits): Promise<readonly Upload[]> {
  const uploads: Upload[] = [];
  let total = 0;
  const parts = request.parts({
    limits: { fileSize: limits.imageBytes, files: limits.files, fields: 16, parts: limits.files + 16 },
  });
  for await (const part of parts) {
    if (part.type === "field")
      throw new ProtolineError("INVALID_ARGUMENT", {
        expected: "files alone in a multipart body",
        got: `the text field ${quote(part.fieldname)}`,
        todo: "Give options in the query; with curl, a file is written -F image=@part.jpg, with the @.",
      });
    const chunks: Uint8Array[] = [];
    for await (const chunk of part.file) {
      total += chunk.length;
      if (total > limits.bodyBytes) throw tooLarge(limits.bodyBytes, "one request");
      chunks.push(chunk);
    }
    const name = part.filename?.slice(0, 255) || `image ${uploads.length + 1}`;
    uploads.push(
      part.file.truncated
        ? {
            origin: name,
            error: new ProtolineError("IMAGE_TOO_LARGE", {
              expected: `at most ${limits.imageBytes} bytes`,
              got: "more",
              todo: "Send a smaller image; the model looks at a small one anyway.",
            }),
          }
        : { origin: name, bytes: Buffer.concat(chunks) },
    );
  }
  if (uploads.length === 0)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "at least one file in the multipart body",
      got: "none",
      todo: "Add the images as files; with curl, -F image=@part.jpg.",
    });
  return uploads;
}

/** `x,y,width,height`, already checked by its schema. */
export function parseRegion(text: string | undefined): { region?: Region } {
  if (text === undefined) return {};
  const [x, y, width, height] = text.split(",").map(Number) as [number, number, number, number];
  return { region: { x, y, width, height } };
}

type Taken = Extract<Upload, { readonly bytes: Uint8Array }>;

/** Which images can be decoded and have the region, and why the others cannot be taken: for what is enrolled later. */
export async function readable(
  uploads: readonly Taken[],
  region: Region | undefined,
  { imageBytes, imagePixels }: Pick<ServerLimits, "imageBytes" | "imagePixels">,
): Promise<{ readonly taken: readonly Taken[]; readonly rejected: EnrollResult["rejected"] }> {
  const taken: Taken[] = [];
  const rejected: EnrollResult["rejected"][number][] = [];
  for (const upload of uploads)
    try {
      const picture = await decodePicture(upload.bytes, { maxBytes: imageBytes, maxPixels: imagePixels });
      if (region) checkRegion(picture, region);
      taken.push(upload);
    } catch (error) {
      if (!isProtolineError(error)) throw error;
      rejected.push({ origin: upload.origin, code: error.code, message: error.message });
    }
  return { taken, rejected };
}
