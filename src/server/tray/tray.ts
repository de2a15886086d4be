import { randomUUID } from "node:crypto";
import { ProtolineError, quote, row } from "../../core/index.ts";
import { cutRegion, decodePicture, thumbnail } from "../../data/index.ts";
import { sniff } from "../../data/pure.ts";
import type { Recognizer } from "../../recognizer/index.ts";
import { embeddingFor } from "../../serving/index.ts";
import { excessOf } from "../excess.ts";
import type { TrayFolder } from "./folder.ts";
import { cluster, givesWay, type Space, sameAs, spaceOf } from "./rules.ts";
import type { Feedback, Offer, Tray, TrayFrame } from "./types.ts";

export interface TrayParts {
  recognizer(gallery: string): Promise<Recognizer>;
  /** Frames a gallery keeps, at most. Default 200. */
  readonly frames?: number;
  /** Bytes of pictures a gallery keeps, at most. Default 64 MiB. */
  readonly bytes?: number;
  /** Default none: frames are gone when the server stops. */
  readonly folder?: TrayFolder;
  /** Told what went wrong in the background. */
  onError(error: unknown): void;
}

interface Placed {
  readonly id: string;
  readonly place: Float32Array;
}

/** Frames that wait to be looked at, at most; beyond it the oldest of them is passed over. */
const mostWaiting = 16;

export function createTray(parts: TrayParts): Tray {
  const { frames: mostFrames = 200, bytes: mostBytes = 64 * 2 ** 20, folder } = parts;
  /** By gallery, oldest first. */
  const kept = new Map<string, TrayFrame[]>();
  const dropped = new Map<string, number>();
  const spaces = new Map<string, Space & { readonly key: string }>();
  /** Groups as they were last made: several screens ask every few seconds. */
  const grouped = new Map<
    string,
    { readonly key: string; readonly groups: readonly (readonly string[])[] }
  >();
  const waiting: { readonly gallery: string; readonly offer: Offer }[] = [];
  let working: Promise<void> | null = null;

  const of = (gallery: string): TrayFrame[] => {
    let frames = kept.get(gallery);
    if (!frames) {
      frames = [];
      kept.set(gallery, frames);
    }
    return frames;
  };

  const replace = async (frame: TrayFrame): Promise<void> => {
    const frames = of(frame.gallery);
    const at = frames.findIndex(({ id }) => id === frame.id);
    if (at >= 0) frames.splice(at, 1);
    frames.push(frame);
    frames.sort((a, b) => a.time - b.time);
    await folder?.write(frame);
  };
  const bound = async (gallery: string): Promise<void> => {
    const frames = of(gallery);
    const total = (): number => frames.reduce((sum, { bytes }) => sum + bytes.length, 0);
    while (frames.length > mostFrames || (frames.length > 1 && total() > mostBytes)) {
      const [gone] = frames.splice(givesWay(frames), 1);
      dropped.set(gallery, (dropped.get(gallery) ?? 0) + 1);
      await folder?.remove(gone!.id);
    }
  };
  const spaceFor = (gallery: string, recognizer: Recognizer): Space & { readonly key: string } => {
    const key = recognizer.revision.hash;
    const known = spaces.get(gallery);
    if (known?.key === key) return known;
    const space = { key, ...spaceOf(recognizer.samples, recognizer.decision.transform) };
    spaces.set(gallery, space);
    return space;
  };
  /** The frames' places, embedded now where another encoder was there when they came. */
  const placed = async (gallery: string, recognizer: Recognizer, space: Space): Promise<Placed[]> => {
    const { modelHash } = recognizer.encoder;
    const places: Placed[] = [];
    for (const frame of [...of(gallery)]) {
      let { embedding } = frame;
      if (embedding === null || frame.modelHash !== modelHash) {
        embedding = row(await recognizer.embed([frame.bytes]), 0);
        // As it is by now: a reviewer may have worked it meanwhile, or taken it out.
        const now = of(gallery).find(({ id }) => id === frame.id);
        if (!now) continue;
        await replace({ ...now, embedding, modelHash });
      }
      places.push({ id: frame.id, place: space.place(embedding) });
    }
    return places;
  };

  const look = async (gallery: string, { bytes, region, answer }: Offer): Promise<void> => {
    if (answer.kind === "known") return;
    const recognizer = await parts.recognizer(gallery);
    const picture = region ? cutRegion(await decodePicture(bytes), region) : null;
    const shown = picture ? await thumbnail(picture, Math.max(picture.width, picture.height)) : bytes;
    const embedding = row(await recognizer.embed([shown]), 0);
    const space = spaceFor(gallery, recognizer);
    const others = await placed(gallery, recognizer, space);
    const same = sameAs(
      space.place(embedding),
      others.map(({ place }) => place),
    );
    const old = of(gallery).find(({ id }) => id === others[same]?.id);
    await replace({
      id: old?.id ?? randomUUID(),
      gallery,
      time: Date.now(),
      kind: answer.kind,
      excess: excessOf(answer.limit),
      candidates: answer.candidates.map(({ label, distance }) => ({ label, distance })),
      revision: answer.revision,
      seen: (old?.seen ?? 0) + 1,
      // Of the frame before: this one only looks the same.
      feedback: old?.feedback ?? null,
      bytes: shown,
      type: `image/${sniff(shown).format ?? "jpeg"}`,
      embedding,
      modelHash: recognizer.encoder.modelHash,
    });
    await bound(gallery);
  };
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift())
      await look(next.gallery, next.offer).catch(parts.onError);
    working = null;
  };
  const find = (gallery: string, id: string): TrayFrame => {
    const frame = of(gallery).find((one) => one.id === id);
    if (frame) return frame;
    throw new ProtolineError("FRAME_NOT_FOUND", {
      expected: `a frame in the tray of gallery ${quote(gallery)}`,
      got: quote(id),
      todo: "Ask for the tray again: frames give way to newer ones, and others may have worked it.",
    });
  };
  const settled = async (): Promise<void> => {
    while (working) await working;
  };

  return {
    settled,
    async load() {
      for (const frame of (await folder?.read()) ?? []) of(frame.gallery).push(frame);
      for (const gallery of kept.keys()) await bound(gallery);
    },
    offer(gallery, offer) {
      if (offer.answer.kind === "known") return;
      waiting.push({ gallery, offer });
      if (waiting.length > mostWaiting) {
        const [passed] = waiting.splice(0, 1);
        dropped.set(passed!.gallery, (dropped.get(passed!.gallery) ?? 0) + 1);
      }
      // Frames of the line come first: this is work in bulk, whatever request it came with.
      working ??= embeddingFor({ priority: "bulk", waited: 0 }, work);
    },
    async list(gallery) {
      const recognizer = await parts.recognizer(gallery);
      const space = spaceFor(gallery, recognizer);
      const places = await placed(gallery, recognizer, space);
      const frames = new Map(of(gallery).map((frame) => [frame.id, frame]));
      const key = [space.key, ...places.map(({ id }) => id)].join();
      let known = grouped.get(gallery);
      if (known?.key !== key) {
        const members = cluster(
          places.map(({ place }) => place),
          space.reach,
        );
        known = { key, groups: members.map((group) => group.map((i) => places[i]!.id)) };
        grouped.set(gallery, known);
      }
      return known.groups
        .map((ids) => ({
          frames: ids.flatMap((id) => frames.get(id) ?? []).sort((x, y) => y.time - x.time),
        }))
        .filter((group) => group.frames.length > 0);
    },
    dropped: (gallery) => dropped.get(gallery) ?? 0,
    frame: find,
    async take(gallery, ids) {
      const taken = ids.map((id) => find(gallery, id));
      const gone = new Set(ids);
      kept.set(
        gallery,
        of(gallery).filter(({ id }) => !gone.has(id)),
      );
      for (const id of ids) await folder?.remove(id);
      return taken;
    },
    async putBack(frames) {
      for (const frame of frames) await replace(frame);
      for (const gallery of new Set(frames.map((frame) => frame.gallery))) await bound(gallery);
    },
    async review(gallery, ids, feedback: Feedback | null) {
      const before = ids.map((id) => find(gallery, id));
      for (const frame of before) await replace({ ...frame, feedback });
      return before;
    },
    async drop(gallery) {
      const frames = of(gallery);
      kept.delete(gallery);
      dropped.delete(gallery);
      spaces.delete(gallery);
      grouped.delete(gallery);
      for (const { id } of frames) await folder?.remove(id);
    },
  };
}
