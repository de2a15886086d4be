/** A part of a job that is done again whole when something goes wrong. Plain JSON: another machine may do it. */
export interface Piece {
  /** The same for the same work, so that a job that goes on knows what it has. Letters, digits and dashes. */
  readonly id: string;
  /** Which of the kinds of work it is. */
  readonly kind: string;
  readonly input: unknown;
}

/** Does pieces of each kind; what it returns is plain JSON. */
export type Work = (piece: Piece) => Promise<unknown>;

/** Who does pieces: this process, or workers behind a queue. */
export interface Executor {
  /** Pieces that are worth being under way at a time. */
  readonly width: number;
  execute(piece: Piece): Promise<unknown>;
  close(): Promise<void>;
}

export interface JobProgress {
  readonly done: number;
  readonly total: number;
  /** Of `done`, those that an earlier run had done. */
  readonly kept: number;
}

export interface JobReport extends JobProgress {
  /** Pieces that failed for good, and why. */
  readonly failed: readonly { readonly id: string; readonly reason: string }[];
}
