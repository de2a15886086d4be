/** Decoded pictures of one size as bytes: what training reads. */
export interface PixelSet {
  readonly channels: number;
  /** Pixels. */
  readonly height: number;
  readonly width: number;
  /** `[n, channels, height, width]`, 0 … 255; channels in the order red, green, blue. */
  readonly pixels: Uint8Array;
  /** `[n]` class label of each picture. */
  readonly labels: readonly string[];
  /** `[n]` part, serial or photograph that each picture belongs to; absent where a picture stands alone. */
  readonly groups?: readonly string[];
}
