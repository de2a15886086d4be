import { type PointerEvent, useRef, useState } from "react";
import { useConsole } from "../context.ts";
import { type Crop, uncut } from "../files.ts";
import { Dialog } from "./dialog.tsx";

const edges = ["left", "top", "right", "bottom"] as const;
/** The least width and height that is left, as a share. */
const least = 0.05;

interface CropDialogProps {
  readonly url: string;
  readonly alt: string;
  onClose(): void;
  onCrop(crop: Crop, all: boolean): void;
}

/** A rectangle over the picture, by pointer or by four sliders. */
export function CropDialog({ url, alt, onClose, onCrop }: CropDialogProps) {
  const { t } = useConsole();
  const [crop, setCrop] = useState<Crop>(uncut);
  const start = useRef<{ x: number; y: number } | null>(null);
  const at = (event: PointerEvent): { x: number; y: number } => {
    const box = event.currentTarget.getBoundingClientRect();
    const share = (value: number): number => Math.min(1, Math.max(0, value));
    return {
      x: share((event.clientX - box.left) / box.width),
      y: share((event.clientY - box.top) / box.height),
    };
  };
  const drag = (event: PointerEvent): void => {
    const from = start.current;
    if (!from) return;
    const to = at(event);
    const next = {
      left: Math.min(from.x, to.x),
      right: Math.max(from.x, to.x),
      top: Math.min(from.y, to.y),
      bottom: Math.max(from.y, to.y),
    };
    if (next.right - next.left >= least && next.bottom - next.top >= least) setCrop(next);
  };
  const move = (edge: (typeof edges)[number], value: number): void => {
    const next = { ...crop, [edge]: value };
    if (next.right - next.left >= least && next.bottom - next.top >= least) setCrop(next);
  };
  return (
    <Dialog title={t.crop.title} wide onClose={onClose}>
      <p className="hint mb-3">{t.crop.hint}</p>
      <div
        className="relative mx-auto w-fit touch-none overflow-hidden rounded-lg select-none"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          start.current = at(event);
        }}
        onPointerMove={drag}
        onPointerUp={() => {
          start.current = null;
        }}
      >
        <img src={url} alt={alt} draggable={false} className="max-h-[50vh] max-w-full" />
        <div
          className="absolute border-2 border-accent shadow-[0_0_0_100vmax_rgb(0_0_0/55%)]"
          style={{
            left: `${100 * crop.left}%`,
            top: `${100 * crop.top}%`,
            width: `${100 * (crop.right - crop.left)}%`,
            height: `${100 * (crop.bottom - crop.top)}%`,
          }}
        />
      </div>
      <div className="my-4 grid gap-2 sm:grid-cols-2">
        {edges.map((edge) => (
          <label key={edge} className="grid grid-cols-[4rem_1fr] items-center gap-2">
            {t.crop[edge]}
            <input
              type="range"
              min={0}
              max={1}
              step={0.01}
              value={crop[edge]}
              className="accent-accent"
              onChange={(event) => move(edge, event.target.valueAsNumber)}
            />
          </label>
        ))}
      </div>
      <div className="flex flex-wrap gap-2">
        <button type="button" className="button primary" onClick={() => onCrop(crop, false)}>
          {t.crop.apply}
        </button>
        <button type="button" className="button" onClick={() => onCrop(crop, true)}>
          {t.crop.all}
        </button>
      </div>
    </Dialog>
  );
}
