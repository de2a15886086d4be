import type { FastifyError } from "fastify";
import Type, { type Static } from "typebox";
import { ProtolineError, quote } from "../../core/index.ts";
import { type EmbedRequest, embeddingFor } from "../../serving/index.ts";
import { createArrivals } from "../arrivals.ts";
import { who } from "../auth.ts";
import type { App, Context } from "../context.ts";
import { replyWithError } from "../errors.ts";
import { replies } from "../openapi.ts";
import { within } from "../recognizing.ts";
import { layOutReply, type Tensor } from "./binary-tensors.ts";

/** The Open Inference Protocol, version 2, over REST: https://github.com/kserve/open-inference-protocol */

const Parameters = Type.Optional(Type.Record(Type.String(), Type.Unknown()));
const ModelParams = Type.Object({ model: Type.String({ description: "Name of the model." }) });
const VersionParams = Type.Object({ ...ModelParams.properties, version: Type.String() });
const shape = Type.Array(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 }), { minItems: 1, maxItems: 8 });
const InferInput = Type.Object({
  name: Type.String({ description: "`image` for tensors, `picture` for encoded images." }),
  shape,
  datatype: Type.String({ description: "`FP32` for `image`, `BYTES` for `picture`." }),
  parameters: Parameters,
  data: Type.Optional(
    Type.Array(Type.Unknown(), { description: "Row by row, nested or not; of `picture`, base64." }),
  ),
});
type InferInput = Static<typeof InferInput>;
const InferBody = Type.Object({
  id: Type.Optional(Type.String({ maxLength: 255 })),
  parameters: Parameters,
  inputs: Type.Array(InferInput, { minItems: 1, maxItems: 1 }),
  outputs: Type.Optional(Type.Array(Type.Object({ name: Type.String(), parameters: Parameters }))),
});
const Output = Type.Object({
  name: Type.String(),
  datatype: Type.String(),
  shape,
  data: Type.Optional(Type.Array(Type.Union([Type.Number(), Type.String()]))),
  parameters: Type.Optional(
    Type.Object({
      binary_data_size: Type.Integer({ description: "Bytes behind the JSON that stand for `data`." }),
    }),
  ),
});
const InferReply = Type.Object({
  model_name: Type.String(),
  model_version: Type.String(),
  id: Type.Optional(Type.String()),
  outputs: Type.Array(Output),
});
const Tensors = Type.Array(
  Type.Object({ name: Type.String(), datatype: Type.String(), shape: Type.Array(Type.Integer()) }),
);
const ModelReply = Type.Object({
  name: Type.String(),
  versions: Type.Array(Type.String()),
  platform: Type.String(),
  inputs: Tensors,
  outputs: Tensors,
});
const ServerReply = Type.Object({
  name: Type.String(),
  version: Type.String(),
  extensions: Type.Array(Type.String()),
});
const TextError = Type.Object({ error: Type.String() });

export const answers = (schema: Parameters<typeof replies>[1]): Record<string, object> => ({
  ...replies(200, schema),
  default: { description: "An error", content: { "application/json": { schema: TextError } } },
});

const invalid = (expected: string, got: string): ProtolineError =>
  new ProtolineError("INVALID_ARGUMENT", {
    expected,
    got,
    todo: "Compare the request with the model's metadata, GET /v2/models/{model}.",
  });

/** The bytes that follow the JSON, for an input that says how many are its own. */
const binary = new WeakMap<object, Buffer>();

/** A body of JSON, or of JSON and the bytes of its input behind it (the binary data extension, for inputs). */
function parseBody(body: Buffer, jsonLength: string | undefined): unknown {
  if (jsonLength === undefined) return JSON.parse(body.toString());
  const length = Number(jsonLength);
  if (!/^\d{1,10}$/.test(jsonLength) || length > body.length)
    throw invalid(
      "at most the body's length as Inference-Header-Content-Length",
      quote(jsonLength.slice(0, 40)),
    );
  const parsed: unknown = JSON.parse(body.subarray(0, length).toString());
  if (typeof parsed === "object" && parsed !== null) binary.set(parsed, body.subarray(length));
  return parsed;
}

export function inferRoutes(app: App, context: Context): void {
  const { encoder, galleries, tray, watching, limits, version, admission } = context;
  const arrivals = createArrivals(admission, context.metrics);
  const { manifest } = encoder;
  const channels = manifest.preprocess.channels === "gray" ? 1 : 3;
  const [height, width] = manifest.preprocess.size;
  const pixels = channels * height * width;
  const tags = ["open inference"];
  const model = { model_name: manifest.name, model_version: manifest.version };

  app.setErrorHandler((error: FastifyError, request, reply) => {
    // As the protocol wants it: the text alone.
    const { send } = reply;
    reply.send = (payload: unknown) =>
      send.call(reply, { error: (payload as { error: Error }).error.message });
    replyWithError(error, request, reply);
  });
  // Clients of the protocol send JSON under any content type, or none.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    "*",
    { parseAs: "buffer", bodyLimit: limits.bodyBytes },
    async (request: { headers: Record<string, unknown> }, body: Buffer) => {
      try {
        const length = request.headers["inference-header-content-length"];
        return parseBody(body, typeof length === "string" ? length : undefined);
      } catch (error) {
        if (error instanceof SyntaxError) throw invalid("a JSON body", quote(error.message.slice(0, 120)));
        throw error;
      }
    },
  );

  const check = (params: { model: string; version?: string }): void => {
    const { model: name, version: wanted = manifest.version } = params;
    if (name !== manifest.name || wanted !== manifest.version)
      throw new ProtolineError("MODEL_NOT_FOUND", {
        expected: `model ${quote(manifest.name)} of version ${quote(manifest.version)}, which this server runs`,
        got: `${quote(name)}, ${quote(wanted)}`,
        todo: "Correct the address, or start the server with that model.",
      });
  };

  /** `[n]` inputs of the encoder. */
  function tensors({ shape: given, data, datatype }: InferInput, bytes: Buffer | undefined): Float32Array[] {
    const n = given[0]!;
    if (datatype !== "FP32" || given.slice(1).join() !== [channels, height, width].join())
      throw invalid(`FP32 of shape [n, ${channels}, ${height}, ${width}]`, `${datatype} of [${given}]`);
    if (n < 1 || n > limits.files) throw invalid(`1 to ${limits.files} images`, String(n));
    let flat: Float32Array;
    if (data) {
      const values = data.flat(8);
      if (!values.every((value) => typeof value === "number"))
        throw invalid("numbers", "something else among them");
      flat = Float32Array.from(values);
    } else {
      if (bytes?.length !== 4 * n * pixels)
        throw invalid(
          `${4 * n * pixels} bytes of data behind the JSON, or data in it`,
          String(bytes?.length ?? 0),
        );
      // A view of whole floats must begin at a multiple of four.
      flat = new Float32Array(new Uint8Array(bytes).buffer);
    }
    if (flat.length !== n * pixels) throw invalid(`${n * pixels} numbers`, String(flat.length));
    // The difference of a number and itself is 0, but for those that are not finite.
    let apart = 0;
    for (let i = 0; i < flat.length; i++) apart += flat[i]! - flat[i]!;
    if (apart !== 0) throw invalid("finite numbers", "others among them");
    return Array.from({ length: n }, (_, i) => flat.subarray(i * pixels, (i + 1) * pixels));
  }

  async function embed(input: InferInput, bytes: Buffer | undefined): Promise<Tensor[]> {
    const { data, n, dim } = await encoder.embed(tensors(input, bytes));
    return [{ name: "embedding", datatype: "FP32", shape: [n, dim], data }];
  }

  async function recognize(
    { data, datatype, shape: given }: InferInput,
    gallery: unknown,
    from: string,
    embedding: EmbedRequest,
  ): Promise<Tensor[]> {
    if (typeof gallery !== "string")
      throw invalid("the name of a gallery as parameter `gallery`", quote(String(gallery)));
    const texts = (data ?? []).flat(8);
    if (datatype !== "BYTES" || given.reduce((a, b) => a * b, 1) !== texts.length || texts.length === 0)
      throw invalid("BYTES, as many as the shape says", `${datatype} of [${given}] with ${texts.length}`);
    if (texts.length > limits.files) throw invalid(`at most ${limits.files} pictures`, String(texts.length));
    const images = texts.map((text) => {
      if (typeof text !== "string" || !/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(text))
        throw invalid("pictures in base64", typeof text);
      return Buffer.from(text, "base64");
    });
    const recognizer = await galleries.recognizer(gallery);
    const found = await recognizer.recognizeBatch(images, { topK: 1 });
    const good = found.map((answer, i) => {
      if (answer instanceof Error) throw answer;
      tray.offer(gallery, { bytes: images[i]!, answer });
      const queue = embedding.waited / images.length;
      const ms = { ...answer.ms, queue, total: answer.ms.total + queue };
      watching.offer(gallery, { bytes: images[i]!, answer: { ...answer, ms }, from });
      return answer;
    });
    const column = (
      name: string,
      kind: Tensor["datatype"],
      of: (answer: (typeof good)[number]) => string | number,
    ): Tensor => ({ name, datatype: kind, shape: [good.length], data: good.map(of) });
    return [
      column("kind", "BYTES", ({ kind }) => kind),
      // Empty for what is unknown or ambiguous.
      column("label", "BYTES", (answer) => (answer.kind === "known" ? answer.label : "")),
      column("confidence", "FP32", ({ confidence }) => confidence),
      column("distance", "FP32", ({ distance }) => distance),
      column("revision", "INT64", ({ revision }) => revision),
    ];
  }

  app.get(
    "/v2",
    {
      config: { scope: "read" },
      schema: { summary: "Name and version", tags, response: answers(ServerReply) },
    },
    async () => ({ name: "protoline", version, extensions: ["binary_tensor_data"] }),
  );
  for (const [path, params] of [
    ["/v2/models/:model", ModelParams],
    ["/v2/models/:model/versions/:version", VersionParams],
  ] as const) {
    app.get(
      path,
      {
        config: { scope: "read" },
        schema: { summary: "Inputs and outputs of the model", tags, params, response: answers(ModelReply) },
      },
      async (request) => {
        check(request.params);
        return {
          name: manifest.name,
          versions: [manifest.version],
          platform: "onnxruntime_onnx",
          inputs: [
            { name: "image", datatype: "FP32", shape: [-1, channels, height, width] },
            { name: "picture", datatype: "BYTES", shape: [-1] },
          ],
          outputs: [
            { name: "embedding", datatype: "FP32", shape: [-1, encoder.embeddingDim] },
            ...(["kind", "label"] as const).map((name) => ({ name, datatype: "BYTES", shape: [-1] })),
            ...(["confidence", "distance"] as const).map((name) => ({ name, datatype: "FP32", shape: [-1] })),
            { name: "revision", datatype: "INT64", shape: [-1] },
          ],
        };
      },
    );
    app.get(
      `${path}/ready`,
      {
        config: { scope: "read" },
        schema: {
          summary: "The model can be asked",
          tags,
          params,
          response: answers(Type.Object({ name: Type.String(), ready: Type.Boolean() })),
        },
      },
      async (request) => {
        check(request.params);
        return { name: manifest.name, ready: true };
      },
    );
    app.post(
      `${path}/infer`,
      {
        config: { scope: "recognize" },
        preParsing: arrivals.look,
        bodyLimit: limits.bodyBytes,
        schema: {
          summary: "Embed tensors, or recognize pictures by a gallery",
          description:
            "Input `image` gives `embedding`; input `picture` with the parameter `gallery` gives `kind`, `label`, `confidence`, `distance` and `revision`. With the parameter `binary_data` of an output, or `binary_data_output` of the request, its bytes stand behind the JSON, as `Inference-Header-Content-Length` then says.",
          tags,
          params,
          body: InferBody,
          response: answers(InferReply),
        },
      },
      async (request, reply) => {
        check(request.params);
        const { id, inputs, parameters, outputs: wanted } = request.body;
        const input = inputs[0]!;
        const one = input.shape[0] === 1;
        const arrival = arrivals.of(request);
        if (!one) arrival?.abandon();
        const leave = (one && arrival?.enter()) || (() => undefined);
        const gone = new AbortController();
        const late = (error: ProtolineError): void => gone.abort(error);
        const embedding: EmbedRequest = { priority: one ? "frame" : "bulk", signal: gone.signal, waited: 0 };
        const work = embeddingFor(embedding, async () =>
          input.name === "image"
            ? embed(input, binary.get(request.body))
            : input.name === "picture"
              ? recognize(input, parameters?.gallery ?? input.parameters?.gallery, who(request), embedding)
              : Promise.reject(invalid("an input `image` or `picture`", quote(input.name))),
        );
        reply.raw.once("close", () => gone.abort(new Error("the client left")));
        work.then(leave, leave);
        const all = await within(limits.recognizeMs, work, late);
        const names = wanted?.map(({ name }) => name);
        const unknown = names?.find((name) => !all.some((output) => output.name === name));
        if (unknown !== undefined)
          throw invalid(`outputs among ${all.map(({ name }) => name).join(", ")}`, quote(unknown));
        const outputs = names ? all.filter(({ name }) => names.includes(name)) : all;
        const bytesOf = new Map(wanted?.map((output) => [output.name, output.parameters?.binary_data]));
        const { json, behind } = layOutReply(
          { ...model, ...(id !== undefined && { id }), outputs },
          (name) => (bytesOf.get(name) ?? parameters?.binary_data_output) === true,
        );
        if (behind.length === 0) return json as Static<typeof InferReply>;
        const header = Buffer.from(JSON.stringify(json));
        reply.header("inference-header-content-length", header.length).type("application/octet-stream");
        return reply.send(Buffer.concat([header, ...behind]) as never);
      },
    );
  }
}
