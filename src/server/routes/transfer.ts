import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import Type from "typebox";
import { ProtolineError, quote } from "../../core/index.ts";
import { exportGallery, importGallery } from "../../store/index.ts";
import { who } from "../auth.ts";
import type { App, Context } from "../context.ts";
import { replies } from "../openapi.ts";
import { GalleryParams, GalleryReply } from "../protocol.ts";

/** A folder of its own for one request; no name of the request is in its path. */
const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), "protoline-"));

export function transferRoutes(app: App, { store, limits }: Context): void {
  for (const type of ["application/gzip", "application/octet-stream"])
    app.addContentTypeParser(type, (_request, payload, done) => done(null, payload));

  app.get(
    "/v1/galleries/:gallery/export",
    {
      config: { scope: "edit" },
      schema: {
        summary: "The head of a gallery with its pictures, as one file",
        tags: ["galleries"],
        params: GalleryParams,
        response: replies(200, Type.String({ format: "binary" }), "application/gzip"),
      },
    },
    async (request, reply) => {
      const { gallery } = request.params;
      const folder = await newFolder();
      const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
      try {
        const file = join(folder, "gallery");
        await exportGallery(store, gallery, file);
        const { size } = await stat(file);
        const stream = createReadStream(file);
        stream.once("close", remove);
        return reply
          .type("application/gzip")
          .header("content-length", size)
          .header("content-disposition", `attachment; filename="${gallery}.protoline"`)
          .send(stream);
      } catch (error) {
        await remove();
        throw error;
      }
    },
  );

  app.post(
    "/v1/galleries/:gallery/import",
    {
      config: { scope: "edit", archive: true },
      schema: {
        summary: "Make a gallery of that name from an exported file",
        tags: ["galleries"],
        params: GalleryParams,
        response: replies(201, GalleryReply),
      },
    },
    async (request, reply) => {
      const tooLarge = new ProtolineError("BODY_TOO_LARGE", {
        expected: `at most ${limits.importBytes} bytes`,
        got: "more",
        todo: "Import the file with the command line, or raise the limit importBytes.",
      });
      if (Number(request.headers["content-length"] ?? 0) > limits.importBytes) throw tooLarge;
      // Of another type: none, JSON, or multipart, which other routes take.
      const { body } = request;
      const type = request.headers["content-type"];
      if (!(body instanceof Readable))
        throw new ProtolineError("CONTENT_TYPE_UNSUPPORTED", {
          expected: "an exported gallery as application/gzip or application/octet-stream",
          got: type ? quote(type) : "none",
          todo: "Set the content type; with curl, --data-binary @gallery.protoline -H 'content-type: application/gzip'.",
        });
      const folder = await newFolder();
      try {
        const file = join(folder, "gallery");
        let bytes = 0;
        await pipeline(
          body,
          async function* (chunks: AsyncIterable<Buffer>) {
            for await (const chunk of chunks) {
              bytes += chunk.length;
              if (bytes > limits.importBytes) throw tooLarge;
              yield chunk;
            }
          },
          createWriteStream(file),
        );
        const gallery = await importGallery(store, file, { name: request.params.gallery, who: who(request) });
        request.log.info({ gallery: quote(gallery.name), samples: gallery.head.samples }, "gallery imported");
        return reply.code(201).send(gallery);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  );
}
