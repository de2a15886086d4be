import { spawnSync } from "node:child_process";
import { mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodePicture, probePicture } from "./decode.ts";
import { readImageFile, readPicture } from "./read.ts";
import { thumbnail } from "./thumbnail.ts";

const picture = () => sharp({ create: { width: 200, height: 160, channels: 3, background: "#468" } });

describe("readPicture", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "protoline-read-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("reads a file whatever its name says", async () => {
    const path = join(folder, "a picture.txt");
    await writeFile(path, await picture().png().toBuffer());
    expect(await readPicture(path)).toMatchObject({ width: 200, height: 160 });
  });

  it("refuses a large file by its size, unread", async () => {
    const path = join(folder, "sparse.jpg");
    await writeFile(path, "");
    await truncate(path, 8 * 2 ** 30);
    await expect(readImageFile(path)).rejects.toMatchObject({
      code: "IMAGE_TOO_LARGE",
      message: expect.stringContaining("expected at most 33554432 bytes, got 8589934592"),
    });
  });

  it("says what is wrong with a path", async () => {
    const read = (name: string) => expect(readPicture(join(folder, name))).rejects;
    await read("none.jpg").toThrow(/a readable image file at ".*none.jpg", got nothing of that name/);
    await read(".").toMatchObject({ code: "IMAGE_NOT_FOUND" });
    await read("x".repeat(10_000)).toThrow(/a name that is too long/);
    await symlink(join(folder, "loop.jpg"), join(folder, "loop.jpg"));
    await read("loop.jpg").toThrow(/a link that leads back to itself/);
    await read("nul\0byte.jpg").toMatchObject({ code: "IMAGE_NOT_FOUND" });
    await writeFile(join(folder, "empty.jpg"), "");
    await read("empty.jpg").toMatchObject({ code: "IMAGE_EMPTY" });
  });

  it.skipIf(process.platform === "win32")("does not wait for a pipe", async () => {
    const path = join(folder, "pipe.jpg");
    expect(spawnSync("mkfifo", [path]).status).toBe(0);
    await expect(readPicture(path)).rejects.toThrow(/got something that is no file/);
  });
});

describe("thumbnail", () => {
  it("keeps the shape within the side, and never enlarges", async () => {
    const decoded = await decodePicture(await picture().png().toBuffer());
    expect(await probePicture(await thumbnail(decoded, 100))).toMatchObject({ width: 100, height: 80 });
    expect(await probePicture(await thumbnail(decoded))).toMatchObject({ width: 200, height: 160 });
  });
});
