import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeBundle } from "../src/models/index.ts";
import { buildServer } from "../src/server/index.ts";
import { createAdmission, type EncoderPool, openPool } from "../src/serving/index.ts";
import { type GalleryStore, openStore } from "../src/store/index.ts";
import { blue, enroll, green, multipart, picture, recognize, red, request } from "./server-help.ts";
import { tinyBundle } from "./support/onnx-encoder.ts";

let folder: string;
let encoder: EncoderPool;
let store: GalleryStore;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-serve-"));
  await writeBundle(tinyBundle(), join(folder, "tiny.onnx"));
  encoder = await openPool(join(folder, "tiny.onnx"), { workers: 1 });
  store = await openStore("memory:");
});
afterAll(async () => {
  await encoder.close();
  await store.close();
  await rm(folder, { recursive: true });
});

async function server(withinMs: number) {
  const admission = createAdmission({ withinMs });
  const app = buildServer({ store, encoder, version: "0.0.0-test", admission });
  if ((await store.galleries()).length === 0) {
    expect((await request(app, "POST", "/v1/galleries", { name: "line-1" })).statusCode).toBe(201);
    for (const [label, color] of Object.entries({ red, green, blue }))
      for (let seed = 0; seed < 3; seed++)
        expect((await enroll(app, label, await picture(color, seed))).statusCode).toBe(201);
  }
  return { app, admission };
}

describe("a server over workers", () => {
  it("gives each of many requests at once its own answer, and says what they waited for", async () => {
    const { app, admission } = await server(60_000);
    const asked = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const [label, color] = (["red", "green", "blue"] as const).map(
          (name, k) => [name, [red, green, blue][k]!] as const,
        )[i % 3]!;
        return { label, image: await picture(color, i % 3) };
      }),
    );
    const answers = await Promise.all(asked.map(({ image }) => recognize(app, image)));
    for (const [i, answer] of answers.entries()) {
      expect(answer.statusCode).toBe(200);
      expect(answer.json().candidates[0].label).toBe(asked[i]!.label);
      const { queue, decode, embed, match, total } = answer.json().ms;
      expect(queue).toBeGreaterThanOrEqual(0);
      expect(queue + decode + embed + match).toBeCloseTo(total, 3);
    }
    expect(admission.inFlight).toBe(0);
    await app.close();
  });

  it("refuses frames beyond what it answers in time with 503 and Retry-After, and several at once never for that", async () => {
    const { app, admission } = await server(1);
    const image = await picture(red, 1);
    const frames = await Promise.all(Array.from({ length: 30 }, () => recognize(app, image)));
    const refused = frames.filter(({ statusCode }) => statusCode === 503);
    expect(refused.length).toBeGreaterThan(0);
    for (const reply of refused) {
      expect(reply.json().error.code).toBe("OVERLOADED");
      expect(reply.headers["retry-after"]).toBe("1");
    }
    expect(frames.length - refused.length).toBeGreaterThan(0);
    expect(admission.inFlight).toBe(0);
    const several = await app.inject({
      method: "POST",
      url: "/v1/galleries/line-1/recognize",
      ...multipart([
        { name: "a.jpg", bytes: image },
        { name: "b.jpg", bytes: image },
      ]),
    });
    expect(several.json().results).toHaveLength(2);
    const metrics = (await request(app, "GET", "/metrics")).body;
    expect(metrics).toContain('protoline_recognitions_admitted{which="now"} 0');
    expect(metrics).toContain(`protoline_images_rejected_total{code="OVERLOADED"} ${refused.length}`);
    await app.close();
  });

  it("keeps the deadline of a request, and does not embed frames of clients that left", async () => {
    const { app, admission } = await server(60_000);
    const address = new URL(await app.listen({ port: 0, host: "127.0.0.1" }));
    const image = await picture(green, 2);
    // The one worker is busy with pictures in bulk and the frames before; the client is gone meanwhile.
    const before = encoder.state().embedded;
    const many = Array.from({ length: 100 }, () => {
      const socket = connect(Number(address.port), address.hostname);
      socket.on("error", () => undefined);
      socket.write(
        `POST /v1/galleries/line-1/recognize HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/jpeg\r\ncontent-length: ${image.length}\r\n\r\n`,
      );
      socket.end(image);
      return socket;
    });
    await expect.poll(() => admission.inFlight).toBeGreaterThan(0);
    for (const socket of many) socket.destroy();
    await expect.poll(() => admission.inFlight).toBe(0);
    expect(encoder.state().embedded - before).toBeLessThan(100);
    expect(encoder.state().waiting).toBe(0);
    const replies = await Promise.all(
      Array.from({ length: 50 }, () => recognize(app, image, { withinMs: "1" })),
    );
    for (const reply of replies)
      if (reply.statusCode !== 200) expect(reply.json().error.code).toBe("TIMED_OUT");
    expect(replies.some(({ statusCode }) => statusCode === 503)).toBe(true);
    expect((await recognize(app, image)).statusCode).toBe(200);
    await app.close();
  });
});
