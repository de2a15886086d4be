import type { ErrorCode } from "../core/index.ts";
import type { Recognition } from "../recognizer/index.ts";

/** What a source says of a picture beside its bytes. */
export interface FrameFacts {
  /** Serial number of the part. */
  readonly part?: string;
  readonly batch?: string;
  readonly shift?: string;
}

/** A picture on its way through the line. */
export interface Frame extends FrameFacts {
  /** The same for the same picture delivered again: results carry it, and the line answers it once. */
  readonly id: string;
  readonly bytes: Uint8Array;
  /** Where it came from, for the reader. */
  readonly origin: string;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** What the line tells its sinks of one frame. */
export interface LineResult extends FrameFacts {
  readonly id: string;
  readonly line: string;
  readonly station?: string;
  /** When the frame came, ISO 8601. */
  readonly time: string;
  readonly origin: string;
  readonly answer:
    | {
        readonly kind: Recognition["kind"];
        /** Of a known part. */
        readonly label: string | null;
        readonly confidence: number;
        readonly distance: number;
        /** The limit of the nearest class, beyond which a frame is unknown; `null` where none is known yet. */
        readonly threshold: number | null;
        /** Nearest first, each with the limit of its class. */
        readonly candidates: readonly {
          readonly label: string;
          readonly distance: number;
          readonly threshold: number | null;
        }[];
      }
    /** The picture could not be read, or there was nothing to compare with. */
    | { readonly kind: "error"; readonly code: ErrorCode; readonly message: string };
  /** What answered. */
  readonly lineage: {
    readonly model: string;
    readonly modelHash: string;
    readonly gallery: string;
    readonly revision: number;
  };
  /** From the frame's arrival in the line to its answer. */
  readonly ms: number;
}

export interface SourceContext {
  readonly signal: AbortSignal;
  /** Whether another frame finds room now. */
  room(): boolean;
  /**
   * Gives the line a frame, when there is room. `handled` resolves with the result when every sink has it or has given it
   * up to the dead letters: only then may the source forget the frame.
   */
  accept(frame: Frame): Promise<{ readonly handled: Promise<LineResult> }>;
  /** A fault that the source overcomes by itself, for the log. */
  report(event: string): void;
}

/** Where frames come from. It reconnects by itself, with growing pauses. */
export interface Source {
  readonly name: string;
  /** Resolves after `signal`, when all that it gave is handled. Rejects when it can never work. */
  run(context: SourceContext): Promise<void>;
  /** One sentence on what it found, without changing anything. @throws LINE_INVALID */
  check(): Promise<string>;
}

/** What a sink is given, told apart by `id`: the same again is the same message. */
export interface Message {
  readonly id: string;
}

/** Where results go, and alerts. */
export interface Sink<Written extends Message = LineResult> {
  readonly name: string;
  /** Resolves when the result is there. Rejects with {@link Refused} for what will never be taken, else it is tried again. */
  write(result: Written): Promise<void>;
  check(): Promise<string>;
  close(): Promise<void>;
}

/** The other side will not have this result, however often it is asked. */
export class Refused extends Error {}
