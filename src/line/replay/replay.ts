import { readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import sharp from "sharp";
import type { Recognition } from "../../recognizer/index.ts";
import type { ReplayPlan } from "./plan.ts";

/** What answers the frames and takes new pictures: a recognizer, or a server. */
export interface ReplayTarget {
  recognize(image: Uint8Array): Promise<Recognition>;
  enroll(label: string, images: readonly Uint8Array[]): Promise<unknown>;
}

export interface ReplayOptions {
  readonly plan: ReplayPlan;
  readonly target: ReplayTarget;
  /** Frames of one class in the tray that the reviewer waits for before he assigns them. Default 10. */
  readonly confirm?: number;
  /** Frames a second; 0: each as soon as the last is answered. Default 0. */
  readonly rate?: number;
  /** The light goes down evenly from that frame on, to this share of itself in the last one. Default: it stays. */
  readonly dim?: { readonly from: number; readonly to: number };
  readonly signal?: AbortSignal;
  readonly onFrame?: (record: ReplayRecord) => void;
}

/** What became of one frame. */
export interface ReplayRecord {
  /** 0, 1, … */
  readonly frame: number;
  readonly path: string;
  readonly truth: string;
  /** Whether the class was enrolled when the frame was asked about, or became so before the answer and was named. */
  readonly enrolled: boolean;
  readonly kind: Recognition["kind"];
  /** The answer, where it is `known`. */
  readonly label: string | null;
  readonly revision: number;
  /** From the question to the answer. */
  readonly ms: number;
  /** Whether pictures were being enrolled meanwhile. */
  readonly onboarding: boolean;
}

export interface Onboarding {
  readonly label: string;
  /** Frame before which the class could be recognized; `null` where the line ended first. */
  readonly frame: number | null;
  readonly pictures: number;
  /** From the click to the class being live. */
  readonly ms: number;
}

export interface ReplayResult {
  readonly records: readonly ReplayRecord[];
  /** In their order: new classes, and further pictures of known ones. */
  readonly onboarded: readonly Onboarding[];
}

/**
 * Runs pictures as if they came down the line. Frames that are not known land in a tray; a reviewer who never errs
 * waits for `confirm` of one class and assigns them, which makes the class or adds to it, while the line goes on.
 * He does not see the frames that were given a wrong name.
 */
export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  const { plan, target, confirm = 10, rate = 0, dim, signal, onFrame } = options;
  const enrolled = new Set<string>();
  for (const { label, images } of plan.start) {
    await target.enroll(label, await Promise.all(images.map((path) => readFile(path))));
    enrolled.add(label);
  }

  const records: ReplayRecord[] = [];
  const onboarded: Onboarding[] = [];
  const tray = new Map<string, Uint8Array[]>();
  const busy = new Set<Promise<void>>();
  const assign = (label: string, images: readonly Uint8Array[]): void => {
    const clicked = performance.now();
    const known = (): void => {
      enrolled.add(label);
      const frame = records.length < plan.frames.length ? records.length : null;
      onboarded.push({ label, frame, pictures: images.length, ms: performance.now() - clicked });
    };
    const work = target
      .enroll(label, images)
      .then(known)
      .finally(() => busy.delete(work));
    busy.add(work);
    // The first that fails is thrown below; it must not end the process before that.
    work.catch(() => undefined);
  };

  const began = performance.now();
  for (const [frame, { path, label: truth }] of plan.frames.entries()) {
    if (signal?.aborted) break;
    const wait = rate > 0 ? began + (1000 * frame) / rate - performance.now() : 0;
    if (wait > 0) await setTimeout(wait);
    const image = await lit(await readFile(path), brightness(frame, plan.frames.length, dim));
    const before = { enrolled: enrolled.has(truth), onboarding: busy.size > 0 };
    const asked = performance.now();
    const answer = await target.recognize(image);
    const label = answer.kind === "known" ? answer.label : null;
    const record = {
      frame,
      path,
      truth,
      enrolled: before.enrolled || label === truth,
      kind: answer.kind,
      label,
      revision: answer.revision,
      ms: performance.now() - asked,
      onboarding: before.onboarding,
    };
    records.push(record);
    onFrame?.(record);
    if (answer.kind === "known") continue;
    const waiting = tray.get(truth) ?? [];
    waiting.push(image);
    tray.set(truth, waiting);
    if (waiting.length >= confirm) assign(truth, waiting.splice(0));
  }
  await Promise.all(busy);
  return { records, onboarded };
}

function brightness(frame: number, frames: number, dim: ReplayOptions["dim"]): number {
  if (!dim || frame < dim.from) return 1;
  return 1 + ((dim.to - 1) * (frame - dim.from + 1)) / (frames - dim.from);
}

async function lit(image: Uint8Array, factor: number): Promise<Uint8Array> {
  if (factor === 1) return image;
  return sharp(image).linear(factor, 0).jpeg({ quality: 95 }).toBuffer();
}
