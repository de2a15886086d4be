import type { Dirent, Stats } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { ProtolineError, quote } from "../core/index.ts";
import { naturalOrder } from "./natural.ts";
import { reasonOf } from "./read.ts";

/** Endings of names that are taken for images; what a file really is, its bytes decide. */
export const imageExtensions: readonly string[] = [
  ".jpg",
  ".jpeg",
  ".jpe",
  ".jfif",
  ".png",
  ".webp",
  ".tif",
  ".tiff",
  ".gif",
  ".bmp",
  ".dib",
];

/** Something in a folder that was not taken, and why, in words. */
export interface SkippedPath {
  readonly path: string;
  readonly reason: string;
}

export interface ImageListing {
  /** Paths that begin with the folder as it was given, natural order. */
  readonly images: readonly string[];
  readonly skipped: readonly SkippedPath[];
}

export interface ClassListing {
  /** Classes with at least one image, in natural order of their names. */
  readonly classes: readonly { readonly label: string; readonly images: readonly string[] }[];
  /** Names of folders that hold no image. */
  readonly empty: readonly string[];
  readonly skipped: readonly SkippedPath[];
}

/**
 * All images under a folder, nested folders too. Links are followed; one that leads back to a folder already listed,
 * or to nowhere, is reported in `skipped`, as is a file with another ending and whatever cannot be read. Hidden and
 * system files (`.…`, `Thumbs.db`, `desktop.ini`, `__MACOSX`) are passed over in silence.
 *
 * @throws FOLDER_NOT_FOUND, FOLDER_EMPTY
 */
export async function listImages(root: string): Promise<ImageListing> {
  const listing = { images: [] as string[], skipped: [] as SkippedPath[] };
  await walk(root, await openFolder(root), new Set(), listing);
  if (listing.images.length === 0) throw folderEmpty(root, "at least one image", listing.skipped);
  return listing;
}

/**
 * A folder a class: each folder directly under `root` is a class named as the folder (Unicode NFC), with all images in it
 * and in the folders below it. Two folders whose names differ only in their Unicode form are one class.
 * Classes without images are named in `empty`; {@link refuseEmptyClasses} makes them an error.
 *
 * @throws FOLDER_NOT_FOUND, FOLDER_EMPTY when no folder under `root` holds an image.
 */
export async function listClasses(root: string): Promise<ClassListing> {
  const identity = await openFolder(root);
  const skipped: SkippedPath[] = [];
  const byLabel = new Map<string, string[]>();
  for (const entry of await entriesOf(root)) {
    const path = join(root, entry.name);
    const stats = await follow(path, skipped);
    if (!stats) continue;
    if (!stats.isDirectory()) {
      skipped.push({ path, reason: "lies beside the class folders, in none of them" });
      continue;
    }
    const label = entry.name.normalize("NFC");
    const images = byLabel.get(label) ?? [];
    byLabel.set(label, images);
    // Each class has its own memory of folders, so that one class never takes a shared folder from another.
    await walk(path, stats, new Set([idOf(identity)]), { images, skipped });
  }
  const classes = [...byLabel].map(([label, images]) => ({ label, images }));
  const filled = classes.filter(({ images }) => images.length > 0);
  if (filled.length === 0)
    throw folderEmpty(root, "one folder for each class with its images in it", skipped);
  return {
    classes: filled,
    empty: classes.filter(({ images }) => images.length === 0).map(({ label }) => label),
    skipped,
  };
}

/** @throws CLASS_EMPTY, naming the classes without images. */
export function refuseEmptyClasses({ empty }: Pick<ClassListing, "empty">): void {
  if (empty.length === 0) return;
  const more = empty.length > 5 ? ` and ${empty.length - 5} more` : "";
  throw new ProtolineError("CLASS_EMPTY", {
    expected: "at least one image in every class folder",
    got: `none in ${empty
      .slice(0, 5)
      .map((label) => quote(label))
      .join(", ")}${more}`,
    todo: "Add images to the folder, or remove it.",
  });
}

const idOf = ({ dev, ino }: Stats): string => `${dev}:${ino}`;

async function openFolder(root: string): Promise<Stats> {
  const stats = await stat(root).catch((cause: unknown) => {
    throw folderNotFound(root, reasonOf(cause), cause);
  });
  if (!stats.isDirectory()) throw folderNotFound(root, "a file");
  return stats;
}

const systemNames = new Set(["thumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "lost+found"]);

async function entriesOf(folder: string): Promise<Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw folderNotFound(folder, reasonOf(cause), cause);
  });
  return entries
    .filter(({ name }) => !name.startsWith(".") && !systemNames.has(name.toLowerCase()))
    .sort((a, b) => naturalOrder(a.name, b.name));
}

async function walk(
  folder: string,
  identity: Stats,
  seen: Set<string>,
  listing: { readonly images: string[]; readonly skipped: SkippedPath[] },
): Promise<void> {
  const { images, skipped } = listing;
  if (seen.has(idOf(identity))) {
    skipped.push({ path: folder, reason: "a link to a folder that is listed already" });
    return;
  }
  seen.add(idOf(identity));
  const entries = await entriesOf(folder).catch((error: unknown) => {
    // Of the folder that was asked for this is the caller's error, of one below it a line in the report.
    if (seen.size === 1 || !(error instanceof ProtolineError)) throw error;
    skipped.push({ path: folder, reason: error.got });
    return [];
  });
  for (const entry of entries) {
    const path = join(folder, entry.name);
    const stats = await follow(path, skipped);
    if (!stats) continue;
    if (stats.isDirectory()) await walk(path, stats, seen, listing);
    else if (!stats.isFile()) skipped.push({ path, reason: "neither a file nor a folder" });
    else if (!imageExtensions.includes(extname(entry.name).toLowerCase()))
      skipped.push({ path, reason: "a name that does not end as an image's does" });
    else if (await readable(path, skipped)) images.push(path);
  }
}

/** What a path leads to, or undefined, with a line in `skipped`, when it leads nowhere. */
async function follow(path: string, skipped: SkippedPath[]): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (cause) {
    const dangling = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    skipped.push({ path, reason: dangling ? "a link to nowhere" : reasonOf(cause) });
    return undefined;
  }
}

async function readable(path: string, skipped: SkippedPath[]): Promise<boolean> {
  try {
    // Opened, not asked for with access(): that goes by another user's rights in a program that changed its user.
    await (await open(path)).close();
    return true;
  } catch (cause) {
    skipped.push({ path, reason: reasonOf(cause) });
    return false;
  }
}

function folderNotFound(path: string, got: string, cause?: unknown): ProtolineError {
  return new ProtolineError("FOLDER_NOT_FOUND", {
    expected: `a readable folder at ${quote(path, 200)}`,
    got,
    todo: "Check the path and the permissions of the folder.",
    cause,
  });
}

function folderEmpty(path: string, expected: string, skipped: readonly SkippedPath[]): ProtolineError {
  const first = skipped[0];
  const got = first
    ? `none; ${skipped.length} skipped, first ${quote(first.path, 120)}: ${first.reason}`
    : "nothing";
  return new ProtolineError("FOLDER_EMPTY", {
    expected: `${expected} in ${quote(path, 200)}`,
    got,
    todo: `Put pictures there whose names end in ${imageExtensions.join(", ")}.`,
  });
}
