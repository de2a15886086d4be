import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { enrollColors, newKey, picture, red, type TestServer, testServer } from "./server-help.ts";

const python = process.env.PROTOLINE_PYTHON ?? "python3";
const hasClient = spawnSync(python, ["-c", "import tritonclient.http"]).status === 0;
const model = "/v2/models/cell-means";
const image = { name: "image", datatype: "FP32", shape: [1, 3, 16, 16] };
const pixels = Array.from({ length: 3 * 16 * 16 }, (_, i) => i / 768);

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
  await enrollColors(server.app);
});
afterAll(() => server.close());

const infer = async (payload: object | string, headers: Record<string, string> = {}) =>
  server.app.inject({ method: "POST", url: `${model}/infer`, headers, payload });

describe("the Open Inference Protocol", () => {
  it("tells what runs, with and without its version", async () => {
    for (const [url, reply] of [
      ["/v2", { name: "protoline", version: "0.0.0-test", extensions: ["binary_tensor_data"] }],
      ["/v2/health/live", { live: true }],
      ["/v2/health/ready", { ready: true }],
      [`${model}/ready`, { name: "cell-means", ready: true }],
      [`${model}/versions/1.0.0/ready`, { name: "cell-means", ready: true }],
    ] as const)
      expect((await server.app.inject({ url })).json(), url).toEqual(reply);
    for (const path of [model, `${model}/versions/1.0.0`])
      expect((await server.app.inject({ url: path })).json().inputs[0]).toEqual({
        ...image,
        shape: [-1, 3, 16, 16],
      });
  });

  it("tells its health without a key, and to probes that come often; the rest needs one", async () => {
    const { app, store, close } = await testServer({ limits: { requestsPerMinute: 2 } });
    await newKey(store, "camera", ["admin"]);
    for (let i = 0; i < 5; i++)
      for (const what of ["live", "ready"])
        await expect
          .poll(async () => {
            const probe = { headers: { host: "10.0.0.7:8080" }, remoteAddress: "10.0.0.9" };
            const reply = await app.inject({ url: `/v2/health/${what}`, ...probe });
            return [reply.statusCode, reply.json()];
          })
          .toEqual([200, { [what]: true }]);
    expect((await app.inject({ url: "/v2" })).statusCode).toBe(401);
    await close();
  });

  it("embeds tensors, flat, nested, or behind the JSON", async () => {
    const [expected] = [await server.encoder.embed([Float32Array.from(pixels)])];
    const flat = await infer({ id: "a", inputs: [{ ...image, data: pixels }] });
    expect(flat.json()).toMatchObject({ id: "a", model_name: "cell-means", model_version: "1.0.0" });
    expect(flat.json().outputs).toEqual([
      { name: "embedding", datatype: "FP32", shape: [1, 48], data: [...expected.data] },
    ]);
    const nested = await infer({ inputs: [{ ...image, data: [[pixels.slice(0, 256)], pixels.slice(256)] }] });
    expect(nested.json().outputs).toEqual(flat.json().outputs);
    const json = Buffer.from(JSON.stringify({ inputs: [image] }));
    const body = Buffer.concat([json, Buffer.from(Float32Array.from(pixels).buffer)]);
    const behind = await server.app.inject({
      ...{ method: "POST", url: `${model}/versions/1.0.0/infer`, payload: body },
      headers: {
        "inference-header-content-length": String(json.length),
        "content-type": "application/octet-stream",
      },
    });
    expect(behind.json().outputs).toEqual(flat.json().outputs);
  });

  /** The JSON of a reply, and the bytes behind it. */
  const apart = ({ headers, rawPayload }: Awaited<ReturnType<typeof infer>>) => {
    const length = Number(headers["inference-header-content-length"]);
    const bytes = new Uint8Array(rawPayload.subarray(length));
    return { json: JSON.parse(rawPayload.subarray(0, length).toString()), bytes };
  };

  it("gives an embedding as bytes behind the JSON where it is asked to", async () => {
    const inputs = [{ ...image, data: pixels }];
    const expected = (await infer({ inputs })).json().outputs[0].data;
    for (const asked of [
      { outputs: [{ name: "embedding", parameters: { binary_data: true } }] },
      { parameters: { binary_data_output: true } },
    ]) {
      const reply = await infer({ id: "b", inputs, ...asked });
      expect([reply.statusCode, reply.headers["content-type"]]).toEqual([200, "application/octet-stream"]);
      const { json, bytes } = apart(reply);
      expect(json).toMatchObject({ id: "b", model_name: "cell-means" });
      expect(json.outputs).toEqual([
        { name: "embedding", datatype: "FP32", shape: [1, 48], parameters: { binary_data_size: 192 } },
      ]);
      expect([...new Float32Array(bytes.buffer)]).toEqual(expected);
    }
    const refused = {
      binary_data_output: true,
      outputs: [{ name: "embedding", parameters: { binary_data: false } }],
    };
    expect((await infer({ inputs, ...refused })).json().outputs[0].data).toEqual(expected);
  });

  it("recognizes pictures by a gallery, and gives the outputs that are asked for", async () => {
    const data = [(await picture(red, 1)).toString("base64")];
    const inputs = [{ name: "picture", datatype: "BYTES", shape: [1], data }];
    const parameters = { gallery: "line-1" };
    const outputs = [{ name: "kind" }, { name: "label" }];
    expect((await infer({ inputs, parameters, outputs })).json().outputs).toEqual([
      { name: "kind", datatype: "BYTES", shape: [1], data: ["known"] },
      { name: "label", datatype: "BYTES", shape: [1], data: ["red"] },
    ]);
    expect((await infer({ inputs, parameters })).json().outputs).toHaveLength(5);
    const mixed = [
      { name: "label", parameters: { binary_data: true } },
      { name: "kind" },
      { name: "revision", parameters: { binary_data: true } },
    ];
    const { json, bytes } = apart(await infer({ inputs, parameters, outputs: mixed }));
    const sizes = json.outputs.map((it: { parameters?: { binary_data_size: number } }) => it.parameters);
    // Four bytes of length and "red"; the texts that are not asked for as bytes; a 64-bit number.
    expect(sizes.filter(Boolean)).toEqual([{ binary_data_size: 7 }, { binary_data_size: 8 }]);
    expect(Buffer.from(bytes.subarray(4, 7)).toString()).toBe("red");
    expect(new DataView(bytes.buffer).getBigInt64(7, true)).toBeGreaterThan(0n);
  });

  it.each([
    ["no JSON", "{"],
    ["no inputs", {}],
    ["another name", { inputs: [{ ...image, name: "x", data: pixels }] }],
    ["another shape", { inputs: [{ ...image, shape: [1, 3, 8, 8], data: pixels }] }],
    ["too few numbers", { inputs: [{ ...image, data: [1, 2] }] }],
    ["no numbers", { inputs: [{ ...image, data: pixels.map(String) }] }],
    ["no data", { inputs: [image] }],
    ["no gallery", { inputs: [{ name: "picture", datatype: "BYTES", shape: [1], data: ["AAAA"] }] }],
    ["an unknown output", { inputs: [{ ...image, data: pixels }], outputs: [{ name: "x" }] }],
  ])("answers %s with 4xx and a text", async (_, body) => {
    const reply = await infer(body);
    expect(reply.statusCode).toBeGreaterThanOrEqual(400);
    expect(reply.statusCode).toBeLessThan(500);
    expect(reply.json()).toEqual({ error: expect.any(String) });
  });

  it("does not know other models", async () => {
    for (const url of ["/v2/models/other", `${model}/versions/9/ready`]) {
      const reply = await server.app.inject({ url });
      expect([reply.statusCode, typeof reply.json().error]).toEqual([404, "string"]);
    }
  });

  it.skipIf(!hasClient)(
    `is understood by tritonclient${hasClient ? "" : ` (skipped: ${python} has no tritonclient[http]; PROTOLINE_PYTHON names another)`}`,
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "protoline-oip-"));
      const file = join(folder, "red.jpg");
      await writeFile(file, await picture(red, 1));
      const address = await server.app.listen({ port: 0, host: "127.0.0.1" });
      const script = fileURLToPath(new URL("../scripts/oip_client.py", import.meta.url));
      const { stdout } = await promisify(execFile)(python, [
        script,
        ...[new URL(address).host, "cell-means", "line-1", file],
      ]);
      const said: unknown = JSON.parse(stdout);
      expect(said).toMatchObject({ embedding: [1, 48], kind: "known", label: "red" });
      expect((said as { refusal: string }).refusal).toContain("cell-means");
      await rm(folder, { recursive: true });
    },
    60_000,
  );
});
