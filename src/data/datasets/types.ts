import type { DatasetSplit } from "../split-files.ts";
import type { Interpolation } from "../types.ts";

/** A file that a data set is made of. */
export interface DatasetFile {
  /** Path inside the data set's folder, with `/`. */
  readonly file: string;
  /** Public address. */
  readonly address: string;
  /** Of the published file, or `null` where nobody has stated it. */
  readonly bytes: number | null;
  /** Lower-case hex, or `null`. */
  readonly sha256: string | null;
}

/** How pictures become bytes. */
export interface PixelFormat {
  /** Height and width, pixels. */
  readonly size: number;
  readonly channels: 1 | 3;
  readonly interpolation: Interpolation;
  /** 255 − value, so that dark ink on light paper becomes light on dark. */
  readonly invert: boolean;
}

export interface PlanOptions {
  /** Folder of split files, where they lie elsewhere. */
  readonly splits?: string;
  /** The group of a picture from its path, see {@link groupByFileName}. Only for `folder`. */
  readonly groups?: RegExp;
}

/** What is to be decoded, and where it goes. */
export interface DatasetPlan {
  /** Each picture once; `path` is an entry of the zip file `archive`, or a file where that is `null`. */
  readonly pictures: readonly { readonly archive: string | null; readonly path: string }[];
  /** `[n]` rows of the pixel set. */
  readonly rows: readonly PlannedRow[];
}

export interface PlannedRow {
  /** Index of the picture. */
  readonly picture: number;
  readonly label: string;
  /** Quarter turns counter-clockwise, 0 … 3. */
  readonly turns: number;
  readonly group?: string;
}

export interface Dataset extends PixelFormat {
  readonly name: string;
  /** One line for the reader. */
  readonly description: string;
  readonly license: string;
  /** Who made it, and whose split it is. */
  readonly citation: string;
  /** Empty where the user brings the pictures. */
  readonly files: readonly DatasetFile[];
  /** Reads lists and directories, no picture. `root` is the data set's own folder. */
  plan(root: string, split: DatasetSplit, options: PlanOptions): Promise<DatasetPlan>;
}
