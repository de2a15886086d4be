import { type Rng, take } from "../core/index.ts";
import type { Support } from "./types.ts";

export interface GalleryPart<Label> {
  readonly support: Support<Label>;
  readonly pictures: number;
  readonly classes: number;
  readonly ofPictures: number;
  readonly ofClasses: number;
}

/**
 * Classes with a second picture, of a gallery of more rows than `limit` a random part: at least five pictures of at least two
 * classes, so far as there are as many.
 */
export function choosePart<Label>(support: Support<Label>, limit: number, rng: Rng): GalleryPart<Label> {
  const { embeddings, labels, groups } = support;
  const byLabel = new Map<Label, Map<number, number[]>>();
  labels.forEach((label, i) => {
    const pictures = byLabel.get(label) ?? new Map<number, number[]>();
    byLabel.set(label, pictures);
    const picture = support.pictures ? support.pictures[i]! : i;
    const rows = pictures.get(picture);
    if (rows) rows.push(i);
    else pictures.set(picture, [i]);
  });
  const all = [...byLabel.values()].map((pictures) => [...pictures.values()]);
  const picturesOf = (classes: readonly number[][][]): number =>
    classes.reduce((sum, pictures) => sum + pictures.length, 0);
  const ofPictures = picturesOf(all);
  const usable = all.filter((pictures) => pictures.length >= 2);
  const rowsOf = usable.flat(2).length;
  let chosen = usable;
  if (rowsOf > limit) {
    const pictureLimit = Math.floor((limit * picturesOf(usable)) / rowsOf);
    const each = Math.max(5, Math.floor(pictureLimit / usable.length));
    const many = Math.max(
      Math.min(2, usable.length),
      Math.min(usable.length, Math.floor(pictureLimit / each)),
    );
    chosen = rng
      .sample(usable.length, many)
      .map((c) =>
        rng.sample(usable[c]!.length, Math.min(each, usable[c]!.length)).map((k) => usable[c]![k]!),
      );
  }
  const rows = chosen.flatMap((pictures) => pictures.flat());
  const numbers = chosen.flatMap((pictures, c) =>
    pictures.flatMap((picture, k) => picture.map(() => c * ofPictures + k)),
  );
  return {
    support: {
      embeddings: take(embeddings, rows),
      labels: rows.map((i) => labels[i]!),
      pictures: numbers,
      ...(groups && { groups: rows.map((i) => groups[i]!) }),
    },
    pictures: picturesOf(chosen),
    classes: chosen.length,
    ofPictures,
    ofClasses: all.length,
  };
}
