import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { TrayReply } from "../src/server/protocol-console.ts";
import { cluster, givesWay } from "../src/server/tray/rules.ts";
import {
  blue,
  enroll,
  enrollColors,
  green,
  newKey,
  picture,
  recognize,
  request,
  type TestServer,
  testServer,
} from "./server-help.ts";

const path = "/v1/galleries/line-1/tray";
let server: TestServer;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-tray-"));
  server = await testServer({ tray: folder });
  await enrollColors(server.app);
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Frames are looked at in the background: asks until there are as many. */
async function trayWith(frames: number): Promise<TrayReply> {
  for (let i = 0; ; i++) {
    const reply = (await server.app.inject({ url: path })).json() as TrayReply;
    const seen = reply.groups.flatMap((group) => group.frames).reduce((sum, frame) => sum + frame.seen, 0);
    if (seen === frames || i === 100) {
      expect(seen).toBe(frames);
      return reply;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const idsOf = (reply: TrayReply): string[] =>
  reply.groups.flatMap(({ frames }) => frames.map(({ id }) => id));

describe("the tray", () => {
  it("keeps what is unknown, one of those that look the same, and not what is known", async () => {
    const frame = await picture(blue, 1);
    expect((await recognize(server.app, frame)).json().kind).toBe("unknown");
    await recognize(server.app, frame);
    await recognize(server.app, await picture(green, 5));
    const reply = await trayWith(2);
    expect(idsOf(reply)).toHaveLength(1);
    const [one] = reply.groups[0]!.frames;
    expect(one).toMatchObject({ kind: "unknown", seen: 2, feedback: null });
    expect(one!.excess).toBeGreaterThan(1);
    const image = await server.app.inject({ url: `${path}/${one!.id}/image` });
    expect(image.headers["content-type"]).toBe("image/jpeg");
    expect(image.rawPayload.equals(frame)).toBe(true);
  });

  it("puts frames that look alike into one group", async () => {
    for (const seed of [1, 2, 4]) await recognize(server.app, await picture(blue, seed));
    for (const seed of [1, 2]) await recognize(server.app, await picture([230, 220, 20], seed));
    const { groups } = await trayWith(5);
    expect(groups.length).toBe(2);
  });

  it("makes a class of frames, and takes it back", async () => {
    await recognize(server.app, await picture(blue, 1));
    const id = idsOf(await trayWith(1));
    const assigned = (await request(server.app, "POST", `${path}/assign`, { id, label: "blue" })).json();
    expect(assigned).toMatchObject({ frames: 1, report: { label: "blue", rejected: [] } });
    await trayWith(0);
    expect((await recognize(server.app, await picture(blue, 1))).json()).toMatchObject({ label: "blue" });

    const undone = await request(server.app, "POST", `${path}/undo`, { action: assigned.action });
    expect(undone.statusCode).toBe(200);
    expect(idsOf(await trayWith(1))).toEqual(id);
    expect((await recognize(server.app, await picture(blue, 1))).json().kind).toBe("unknown");
    const again = await request(server.app, "POST", `${path}/undo`, { action: assigned.action });
    expect(again.json().error.code).toBe("FRAME_NOT_FOUND");
  });

  it("leaves frames in the tray that cannot be enrolled", async () => {
    const frame = await picture(blue, 1);
    await recognize(server.app, frame);
    const id = idsOf(await trayWith(1));
    await enroll(server.app, "ink", frame);
    const reply = await request(server.app, "POST", `${path}/assign`, { id, label: "sky" });
    expect(reply.json()).toMatchObject({ frames: 0, report: { added: [] } });
    expect(idsOf(await trayWith(1))).toEqual(id);
  });

  it("keeps feedback with the reviewer's name, and takes it back", async () => {
    await recognize(server.app, await picture(blue, 1));
    const id = idsOf(await trayWith(1));
    const body = { id, verdict: "incorrect", reviewer: "Lin" };
    const { action } = (await request(server.app, "POST", `${path}/feedback`, body)).json();
    const [frame] = (await trayWith(1)).groups[0]!.frames;
    expect(frame!.feedback).toMatchObject({ verdict: "incorrect", reviewer: "Lin" });
    await request(server.app, "POST", `${path}/undo`, { action });
    expect((await trayWith(1)).groups[0]!.frames[0]!.feedback).toBeNull();
  });

  it("outlives the server in its folder, without half a file", async () => {
    await recognize(server.app, await picture(blue, 1));
    const [before] = (await trayWith(1)).groups;
    await server.app.close();
    await writeFile(join(folder, "half.frame"), '{"id": "x"');
    server = await testServer({ tray: folder, store: server.store });
    expect((await trayWith(1)).groups).toEqual([before]);
    expect((await readdir(folder)).filter((name) => name.startsWith("half"))).toEqual([]);
    await request(server.app, "POST", `${path}/dismiss`, { id: idsOf(await trayWith(1)) });
    expect(await readdir(folder)).toEqual([]);
  });

  it("is worked by who may: an operator gives feedback and does not enroll", async () => {
    await recognize(server.app, await picture(blue, 1));
    const id = idsOf(await trayWith(1));
    const headers = {
      authorization: `Bearer ${await newKey(server.store, "shift 2", ["read", "recognize"])}`,
    };
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const post = (what: string, payload: object) =>
      server.app.inject({ method: "POST", url: `${path}/${what}`, headers, payload });
    expect((await post("assign", { id, label: "blue" })).statusCode).toBe(403);
    expect((await post("feedback", { id, verdict: "correct" })).statusCode).toBe(200);
    const reply = (await server.app.inject({ url: path, headers })).json() as TrayReply;
    expect(reply.groups[0]!.frames[0]!.feedback).toMatchObject({ reviewer: "shift 2" });
  });

  it("names frames and galleries that are not there", async () => {
    const frame = await request(server.app, "POST", `${path}/dismiss`, { id: ["none"] });
    expect(frame.json().error.code).toBe("FRAME_NOT_FOUND");
    const gallery = await server.app.inject({ url: "/v1/galleries/none/tray" });
    expect(gallery.json().error.code).toBe("GALLERY_NOT_FOUND");
  });
});

describe("the tray's rules", () => {
  it("let the newest half stay, and of the others the most distant", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 9, noNaN: true }), { minLength: 2 }), (excesses) => {
        const gone = givesWay(excesses.map((excess) => ({ excess })));
        expect(gone).toBeLessThan(Math.max(1, excesses.length >> 1));
        for (const other of excesses.slice(0, excesses.length >> 1))
          expect(excesses[gone]).toBeLessThanOrEqual(other);
      }),
    );
  });

  it("group every frame once, those that are the same together", () => {
    const vector = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(vector, { maxLength: 20 }), (rows) => {
        const groups = cluster(
          rows.map((row) => Float32Array.from(row)),
          0.05,
        );
        expect(groups.flat().sort((a, b) => a - b)).toEqual([...rows.keys()]);
        const of = (i: number): number => groups.findIndex((group) => group.includes(i));
        for (const [i, a] of rows.entries())
          for (const [j, b] of rows.entries()) if (a.join() === b.join()) expect(of(i)).toBe(of(j));
      }),
    );
  });
});
