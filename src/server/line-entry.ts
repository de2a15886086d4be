import type { Encoder } from "../models/types.ts";
import type { Recognition } from "../recognizer/types.ts";
import type { Galleries } from "./galleries.ts";
import type { Recognizing } from "./recognizing.ts";

/** A line that runs in the server's own process. */
export interface LineSource {
  readonly name: string;
  readonly gallery: string;
}

/** The way in for frames that come by no request. */
export interface LineEntry {
  /**
   * Answers a frame as that of a request is answered: counted, offered to tray, drift monitor and candidate, shown to who
   * watches.
   *
   * @param part serial number of the part, where it is known.
   * @throws OVERLOADED, TIMED_OUT, GALLERY_NOT_FOUND, GALLERY_EMPTY, MODEL_MISMATCH, errors of the store and of the picture.
   */
  recognize(image: Uint8Array, part?: string): Promise<Recognition>;
  /** What answered last. */
  lineage(): {
    readonly model: string;
    readonly modelHash: string;
    readonly gallery: string;
    readonly revision: number;
  };
}

export interface LineEntryParts {
  readonly galleries: Galleries;
  readonly recognizing: Recognizing;
  /** The server's own. */
  readonly encoder: Encoder;
}

export function createLineEntry(
  { name, gallery }: LineSource,
  { galleries, recognizing, encoder }: LineEntryParts,
): LineEntry {
  const { manifest, modelHash } = encoder;
  let last = { model: manifest.name, modelHash, revision: 0 };
  return {
    async recognize(image, part) {
      const by = await galleries.recognizer(gallery);
      // So it is where no answer comes.
      last = {
        model: by.encoder.manifest.name,
        modelHash: by.encoder.modelHash,
        revision: by.revision.number,
      };
      const [answer] = await recognizing.recognize(gallery, [image], {
        ...{ options: {}, from: name, part },
        onGone: () => undefined,
      });
      if (answer instanceof Error) throw answer;
      const { model, modelHash, revision } = answer!;
      last = { model, modelHash, revision };
      return answer!;
    },
    lineage: () => ({ ...last, gallery }),
  };
}
