import Type from "typebox";
import { isProtolineError, ProtolineError } from "../../core/index.ts";
import type { Recognition } from "../../recognizer/types.ts";
import type { App, Context } from "../context.ts";
import { parseRegion, readUploads } from "../images.ts";
import { replies } from "../openapi.ts";
import {
  type ErrorReply,
  GalleryParams,
  RecognitionReply,
  RecognitionsReply,
  RecognizeQuery,
} from "../protocol.ts";

/** Resolves as `work` does, or rejects with TIMED_OUT; the work itself goes on, as an embedding cannot be stopped. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new ProtolineError("TIMED_OUT", {
            expected: `an answer within ${ms} ms`,
            got: "none yet",
            todo: "Try again in a moment, with fewer images at a time.",
          }),
        ),
      ms,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function recognizeRoutes(app: App, { galleries, metrics, limits }: Context): void {
  const rejected = (error: unknown): ProtolineError => {
    if (!isProtolineError(error)) throw error;
    metrics.rejected(error.code);
    return error;
  };
  let running = 0;
  const finished = (): void => {
    running--;
  };
  const answered = (answer: Recognition): Recognition => {
    metrics.recognized(answer);
    return answer;
  };

  app.post(
    "/v1/galleries/:gallery/recognize",
    {
      config: { scope: "recognize", images: true },
      schema: {
        summary: "Recognize one image, or the files of a multipart request",
        tags: ["recognition"],
        params: GalleryParams,
        querystring: RecognizeQuery,
        response: replies(200, Type.Union([RecognitionReply, RecognitionsReply])),
      },
    },
    async (
      request,
    ): Promise<
      Recognition | { results: ({ origin: string } & ({ answer: Recognition } | ErrorReply))[] }
    > => {
      const uploads = await readUploads(request, limits);
      const recognizer = await galleries.recognizer(request.params.gallery);
      const options = { topK: request.query.topK, ...parseRegion(request.query.region) };
      const images = uploads.flatMap((upload) => ("bytes" in upload ? [upload.bytes] : []));
      if (running >= limits.recognitions)
        throw new ProtolineError("OVERLOADED", {
          expected: `at most ${limits.recognitions} recognitions at a time`,
          got: "one more",
          todo: "Try again in a moment, or send the next frame instead.",
        });
      running++;
      const work = recognizer.recognizeBatch(images, options);
      // Also when the answer comes too late: until then the machine is busy with it.
      work.then(finished, finished);
      const answers = await within(limits.recognizeMs, work);
      if (!request.isMultipart()) {
        const [answer] = answers;
        if (answer instanceof Error) throw rejected(answer);
        return answered(answer!);
      }
      let next = 0;
      return {
        results: uploads.map((upload) => {
          const { origin } = upload;
          const answer = "error" in upload ? upload.error : answers[next++]!;
          return answer instanceof Error
            ? { origin, error: rejected(answer).toJSON() }
            : { origin, answer: answered(answer) };
        }),
      };
    },
  );
}
