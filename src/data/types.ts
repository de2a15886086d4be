/** A decoded picture: interleaved 8-bit sRGB, upright, without alpha. `data` has shape `[height, width, 3]`. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** A rectangle in pixels of the upright picture. */
export interface Region {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export type Interpolation = "nearest" | "bilinear" | "bicubic" | "lanczos3";

/** How a picture becomes the encoder's input, shape `[channels, height, width]`. */
export interface Preprocess {
  /** Height and width of the input, pixels. */
  readonly size: readonly [height: number, width: number];
  /**
   * `stretch` ignores the aspect ratio; `crop` scales the short side and cuts the middle; `fit` scales the long side
   * and pads with `padding`.
   */
  readonly fit: "stretch" | "crop" | "fit";
  readonly interpolation: Interpolation;
  /** Grey value 0 … 255 around a picture that is fitted. */
  readonly padding: number;
  readonly channels: "rgb" | "bgr" | "gray";
  /** Subtracted from a 0 … 255 pixel, one a channel. */
  readonly mean: readonly number[];
  /** Divides after that, one a channel. */
  readonly std: readonly number[];
  /** `image`: each input is then standardised to its own mean and deviation over all pixels and channels. */
  readonly standardize: "none" | "image";
}

/** Bounds that are checked before a single pixel is decoded. */
export interface ImageLimits {
  /** Encoded bytes. Default 32 MiB. */
  readonly maxBytes: number;
  /** Width × height. Default 100 million. */
  readonly maxPixels: number;
  /** Shortest side that can show a part, pixels. Default 8. */
  readonly minSide: number;
}
