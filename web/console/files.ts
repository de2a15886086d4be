/** A picture file and the folder that it lies in, which may name its class. */
export interface Found {
  readonly file: File;
  readonly folder: string | null;
}

const pictureNames = /\.(jpe?g|png|webp|gif|bmp|tiff?)$/i;
const isPicture = (file: File): boolean => file.type.startsWith("image/") || pictureNames.test(file.name);

function readEntry(entry: FileSystemEntry, folder: string | null): Promise<Found[]> {
  if (entry.isFile)
    return new Promise((resolve, reject) =>
      (entry as FileSystemFileEntry).file(
        (file) => resolve(isPicture(file) ? [{ file, folder }] : []),
        reject,
      ),
    );
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  // A reader hands out at most a hundred entries at a time.
  const rest = async (): Promise<FileSystemEntry[]> => {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    return some.length === 0 ? [] : [...some, ...(await rest())];
  };
  return rest().then(async (entries) => {
    const found = await Promise.all(entries.map((inner) => readEntry(inner, entry.name)));
    return found.flat();
  });
}

const inOrder = (found: readonly Found[]): Found[] => {
  const compare = (a: string, b: string): number => a.localeCompare(b, undefined, { numeric: true });
  return [...found].sort(
    (a, b) => compare(a.folder ?? "", b.folder ?? "") || compare(a.file.name, b.file.name),
  );
};

/** Pictures of a drop, folders within folders included. */
export async function droppedPictures(data: DataTransfer): Promise<Found[]> {
  // Read before the first wait: the items are gone after it.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  return inOrder((await Promise.all(entries.map((entry) => readEntry(entry, null)))).flat());
}

/** Pictures of a file field; one with `webkitdirectory` gives the path of each. */
export function chosenPictures(files: FileList | null): Found[] {
  return inOrder(
    [...(files ?? [])].filter(isPicture).map((file) => ({
      file,
      folder: file.webkitRelativePath.split("/").at(-2) ?? null,
    })),
  );
}

/** What a canvas can draw. */
export type Drawable = HTMLVideoElement | ImageBitmap;

const sizeOf = (source: Drawable): [width: number, height: number] =>
  source instanceof HTMLVideoElement
    ? [source.videoWidth, source.videoHeight]
    : [source.width, source.height];

/** Edges as shares of width and height, 0 … 1. */
export interface Crop {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}
export const uncut: Crop = { left: 0, top: 0, right: 1, bottom: 1 };

/** The frame that shows now, or a part of it, as a JPEG. */
export async function toFile(source: Drawable, name: string, crop: Crop = uncut): Promise<File> {
  const [width, height] = sizeOf(source);
  const [x, y] = [Math.round(crop.left * width), Math.round(crop.top * height)];
  const w = Math.max(8, Math.round(crop.right * width) - x);
  const h = Math.max(8, Math.round(crop.bottom * height) - y);
  const canvas = new OffscreenCanvas(w, h);
  canvas.getContext("2d")!.drawImage(source, x, y, w, h, 0, 0, w, h);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
  return new File([blob], name, { type: blob.type });
}

/** Pixels of a picture at most `side` wide and high, RGBA. */
export async function pixelsOf(file: Blob, side: number): Promise<ImageData> {
  const whole = await createImageBitmap(file);
  const scale = Math.min(1, side / Math.max(whole.width, whole.height));
  const width = Math.max(1, Math.round(whole.width * scale));
  const height = Math.max(1, Math.round(whole.height * scale));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, width, height);
  whole.close();
  return context.getImageData(0, 0, width, height);
}
