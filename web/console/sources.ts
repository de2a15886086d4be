import type { RefObject } from "react";
import type { RecognitionReply } from "../../src/server/protocol.ts";
import { chosenPictures, toFile } from "./files.ts";
import { sampleFile, sampleList } from "./sample.ts";

/** A frame that was answered for somebody else. */
export interface Given {
  /** What was looked at, small. */
  readonly file: File;
  readonly answer: RecognitionReply;
  /** Who sent it: the name of a key, of a person, or of a line. */
  readonly from: string;
  /** Serial number of the part, where it is known. */
  readonly part: string | null;
  /** Frames answered since the last one that are not shown. */
  readonly passed: number;
  /** As it came. */
  whole(): Promise<File>;
}

/** Where frames of the live page come from. */
export interface Source {
  /** The newest frame, to be asked about or answered already; `null` at the end. Frames in between are never kept. */
  next(): Promise<File | Given | null>;
  /** Milliseconds that a frame is shown at least; 0 for what moves by itself. */
  readonly pace: number;
  /** Nobody looks any more; `next` begins anew. */
  rest?(): void;
}

/** Long enough to see a picture that does not move. */
const pace = 900;

export function fromFiles(files: readonly File[]): Source {
  let next = 0;
  return { pace, next: async () => files[next++] ?? null };
}

/** The built-in line: the sample's frames one after another, from the start again at the end. */
export async function fromSample(): Promise<Source> {
  const { frames } = await sampleList();
  let next = 0;
  return { pace, next: () => sampleFile(frames[next++ % frames.length]!) };
}

/** What a video element shows at the moment it is asked: what was shown while an answer was awaited is passed over. */
export function fromVideo(video: RefObject<HTMLVideoElement | null>, name: string): Source {
  let frames = 0;
  return {
    pace: 0,
    async next() {
      const element = video.current;
      if (!element || element.ended) return null;
      if (element.readyState < HTMLMediaElement.HAVE_CURRENT_DATA || element.videoWidth === 0) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return this.next();
      }
      return toFile(element, `${name} ${++frames}.jpg`);
    },
  };
}

export const picturesOf = (files: FileList | null): File[] => chosenPictures(files).map(({ file }) => file);
