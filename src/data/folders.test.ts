import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listClasses, listImages, refuseEmptyClasses } from "./folders.ts";
import { naturalOrder } from "./natural.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "protoline-folders-"));
});
afterEach(() => rm(root, { recursive: true }));

async function files(...names: string[]): Promise<void> {
  for (const name of names) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), "x");
  }
}

const within = (paths: readonly string[]) => paths.map((path) => path.slice(root.length + 1));
const reasons = (skipped: readonly { path: string; reason: string }[]) =>
  Object.fromEntries(skipped.map(({ path, reason }) => [path.slice(root.length + 1), reason]));

describe("listImages", () => {
  it("lists nested images in natural order and reports the rest", async () => {
    await files("part10.jpg", "part2.JPG", "deep/er/a.png", "notes.txt", "deep/b.tiff", "noending");
    const { images, skipped } = await listImages(root);
    expect(within(images)).toEqual(["deep/b.tiff", "deep/er/a.png", "part2.JPG", "part10.jpg"]);
    expect(reasons(skipped)).toEqual({
      "notes.txt": "a name that does not end as an image's does",
      noending: "a name that does not end as an image's does",
    });
  });

  it("passes over hidden and system files in silence", async () => {
    await files("a.jpg", ".DS_Store", "._a.jpg", "Thumbs.db", "desktop.ini", "__MACOSX/a.jpg", ".git/x.png");
    const { images, skipped } = await listImages(root);
    expect(within(images)).toEqual(["a.jpg"]);
    expect(skipped).toEqual([]);
  });

  it("survives loops of links and links to nowhere, and follows the others", async () => {
    await files("in/a.jpg", "in/below/b.jpg", "beside/c.jpg");
    await symlink(root, join(root, "in/below/up"));
    await symlink(join(root, "in"), join(root, "in/self"));
    await symlink(join(root, "gone.jpg"), join(root, "in/dangling.jpg"));
    await symlink(join(root, "in/ring.jpg"), join(root, "in/ring.jpg"));
    await symlink(join(root, "beside/c.jpg"), join(root, "in/linked.jpg"));
    const { images, skipped } = await listImages(join(root, "in"));
    // Through `up` the folder beside is found as well; the paths stay below the folder that was asked for.
    expect(within(images)).toEqual([
      "in/a.jpg",
      "in/below/b.jpg",
      "in/below/up/beside/c.jpg",
      "in/linked.jpg",
    ]);
    expect(reasons(skipped)).toEqual({
      "in/below/up/in": "a link to a folder that is listed already",
      "in/self": "a link to a folder that is listed already",
      "in/dangling.jpg": "a link to nowhere",
      "in/ring.jpg": "a link that leads back to itself",
    });
  });

  it("enters a folder that is named as an image", async () => {
    await files("trap.jpg/a.png");
    expect(within((await listImages(root)).images)).toEqual(["trap.jpg/a.png"]);
  });

  it("refuses what is no folder", async () => {
    await expect(listImages(join(root, "none"))).rejects.toThrow(
      /^The folder does not exist or cannot be read: expected a readable folder at ".*none", got nothing of that name\./,
    );
    await files("a.jpg");
    await expect(listImages(join(root, "a.jpg"))).rejects.toMatchObject({
      code: "FOLDER_NOT_FOUND",
      got: "a file",
    });
    await expect(listImages(join(root, "x".repeat(10_000)))).rejects.toMatchObject({
      code: "FOLDER_NOT_FOUND",
    });
  });

  it("refuses an empty folder and says what was there", async () => {
    await expect(listImages(root)).rejects.toThrow(
      /^The folder holds no images: expected at least one image in ".*", got nothing\. Put pictures there whose names end in \.jpg/,
    );
    await files("a.pdf", "b.txt");
    await expect(listImages(root)).rejects.toThrow(
      /got none; 2 skipped, first ".*a\.pdf": a name that does not end/,
    );
  });

  // Root reads everything, so the test lays that down for its length.
  const becomes = process.getuid?.() === 0 ? process.seteuid : undefined;
  it.skipIf(process.platform === "win32")("reports what it may not read", async () => {
    await files("a.jpg", "locked.jpg", "closed/b.jpg");
    await chmod(root, 0o755);
    await chmod(join(root, "locked.jpg"), 0);
    await chmod(join(root, "closed"), 0);
    becomes?.call(process, 65_534);
    try {
      const { images, skipped } = await listImages(root);
      expect(within(images)).toEqual(["a.jpg"]);
      expect(reasons(skipped)).toEqual({
        "locked.jpg": "no permission to read it",
        closed: "no permission to read it",
      });
      await expect(listImages(join(root, "closed"))).rejects.toThrow(/got no permission to read it/);
    } finally {
      becomes?.call(process, 0);
      await chmod(join(root, "closed"), 0o755);
    }
  });
});

describe("listClasses", () => {
  it("takes a folder for a class, with the folders below it", async () => {
    await files(
      "bolt/1.jpg",
      "bolt/more/2.png",
      "nut 10/1.jpg",
      "nut 2/1.jpg",
      "stray.jpg",
      "bolt/readme.md",
    );
    const { classes, empty, skipped } = await listClasses(root);
    expect(classes.map(({ label, images }) => [label, within(images)])).toEqual([
      ["bolt", ["bolt/1.jpg", "bolt/more/2.png"]],
      ["nut 2", ["nut 2/1.jpg"]],
      ["nut 10", ["nut 10/1.jpg"]],
    ]);
    expect(empty).toEqual([]);
    expect(reasons(skipped)).toEqual({
      "stray.jpg": "lies beside the class folders, in none of them",
      "bolt/readme.md": "a name that does not end as an image's does",
    });
  });

  it("names the classes without images, and makes them an error where asked", async () => {
    await files("good/1.jpg", "bad/notes.txt");
    await mkdir(join(root, "hollow"));
    const listing = await listClasses(root);
    expect(listing.classes.map(({ label }) => label)).toEqual(["good"]);
    expect(listing.empty).toEqual(["bad", "hollow"]);
    expect(() => refuseEmptyClasses(listing)).toThrow(
      'A class has no images: expected at least one image in every class folder, got none in "bad", "hollow". Add images to the folder, or remove it.',
    );
    expect(() => refuseEmptyClasses({ empty: [] })).not.toThrow();
    const many = Array.from({ length: 9 }, (_, i) => `c${i}`);
    expect(() => refuseEmptyClasses({ empty: many })).toThrow(/"c4" and 4 more/);
  });

  it("labels by Unicode NFC: two spellings of one name are one class", async () => {
    const composed = "Schl\u00fcssel";
    const decomposed = "Schlu\u0308ssel";
    await files(`${composed}/1.jpg`, `${decomposed}/2.jpg`, "🔩/1.jpg");
    const { classes } = await listClasses(root);
    expect(classes.map(({ label, images }) => [label, images.length])).toEqual([
      [composed, 2],
      ["🔩", 1],
    ]);
  });

  it("follows links to classes elsewhere, but not back to the whole", async () => {
    await files("real/1.jpg");
    await symlink(join(root, "real"), join(root, "alias"));
    await symlink(root, join(root, "whole"));
    await symlink(root, join(root, "real/back"));
    const { classes, empty, skipped } = await listClasses(root);
    expect(classes.map(({ label, images }) => [label, within(images)])).toEqual([
      ["alias", ["alias/1.jpg"]],
      ["real", ["real/1.jpg"]],
    ]);
    expect(empty).toEqual(["whole"]);
    expect(Object.keys(reasons(skipped))).toEqual(["alias/back", "real/back", "whole"]);
  });

  it("refuses a folder without classes and says where its images lie", async () => {
    await files("1.jpg", "2.jpg");
    await expect(listClasses(root)).rejects.toThrow(
      /^The folder holds no images: expected one folder for each class with its images in it in ".*", got none; 2 skipped, first ".*1\.jpg": lies beside the class folders/,
    );
  });
});

describe("naturalOrder", () => {
  it("counts as people do", () => {
    const names = ["a10", "a2", "a1b", "a01", "a1", "B1", "b1", "a", "10", "9", "a2.10", "a2.9"];
    expect(names.toSorted(naturalOrder)).toEqual([
      ...["9", "10", "B1", "a", "a01", "a1", "a1b", "a2", "a2.9", "a2.10", "a10", "b1"],
    ]);
  });

  it("is a total order", () => {
    const name = fc.stringMatching(/^[a0-2é]{0,6}$/);
    fc.assert(
      fc.property(name, name, name, (a, b, c) => {
        expect(Math.sign(naturalOrder(a, b)) + Math.sign(naturalOrder(b, a))).toBe(0);
        if (a !== b) expect(naturalOrder(a, b)).not.toBe(0);
        if (naturalOrder(a, b) <= 0 && naturalOrder(b, c) <= 0)
          expect(naturalOrder(a, c)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 1000 },
    );
  });
});
