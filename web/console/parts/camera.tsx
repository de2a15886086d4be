import { type KeyboardEvent, type RefObject, useEffect, useRef, useState } from "react";
import { useConsole } from "../context.ts";
import { toFile } from "../files.ts";

/** Shows a camera in `video` for as long as `on`; `refused` says that there is none or that it is not allowed. */
export function useCamera(
  video: RefObject<HTMLVideoElement | null>,
  on: boolean,
): { readonly ready: boolean; readonly refused: string | null } {
  const [ready, setReady] = useState(false);
  const [refused, setRefused] = useState<string | null>(null);
  useEffect(() => {
    if (!on) return;
    let gone = false;
    let stream: MediaStream | undefined;
    const stop = (): void => {
      for (const track of stream?.getTracks() ?? []) track.stop();
    };
    const start = async (): Promise<void> => {
      // Absent where the page is not served from this machine or by TLS.
      if (!navigator.mediaDevices) throw new Error("https");
      stream = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "environment" },
      });
      const element = video.current;
      if (gone || !element) return stop();
      element.srcObject = stream;
      await element.play();
      if (!gone) setReady(true);
    };
    start().catch((error: unknown) => !gone && setRefused(error instanceof Error ? error.message : "?"));
    return () => {
      gone = true;
      stop();
      setReady(false);
      setRefused(null);
    };
  }, [video, on]);
  return { ready, refused };
}

/** Milliseconds between two pictures while the button is held. */
const period = 250;

/** Hold to record: a picture every quarter of a second. */
export function HoldToRecord({ onPicture, onClose }: { onPicture(file: File): void; onClose(): void }) {
  const { t } = useConsole();
  const video = useRef<HTMLVideoElement>(null);
  const { ready, refused } = useCamera(video, true);
  const timer = useRef<number | undefined>(undefined);
  const count = useRef(0);
  const [holding, setHolding] = useState(false);

  const take = (): void => {
    if (video.current?.videoWidth)
      void toFile(video.current, `camera ${++count.current}.jpg`).then(onPicture);
  };
  const press = (): void => {
    if (timer.current !== undefined) return;
    setHolding(true);
    take();
    timer.current = window.setInterval(take, period);
  };
  const release = (): void => {
    clearInterval(timer.current);
    timer.current = undefined;
    setHolding(false);
  };
  useEffect(() => () => clearInterval(timer.current), []);
  const byKey = (event: KeyboardEvent): void => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (event.type === "keydown") press();
    else release();
  };
  if (refused !== null)
    return (
      <p role="alert" className="text-unknown">
        {t.add.noCamera} ({refused})
      </p>
    );
  return (
    <div className="grid gap-2">
      <video ref={video} muted playsInline className="max-h-72 w-full rounded-lg bg-raised object-contain" />
      <div className="flex flex-wrap items-center gap-2">
        <button
          type="button"
          className="button primary touch-none select-none"
          disabled={!ready}
          aria-pressed={holding}
          onPointerDown={press}
          onPointerUp={release}
          onPointerLeave={release}
          onPointerCancel={release}
          onKeyDown={byKey}
          onKeyUp={byKey}
          onBlur={release}
        >
          {t.add.hold}
        </button>
        <button type="button" className="button" onClick={onClose}>
          {t.add.stopCamera}
        </button>
        <p className="hint">{t.add.holdHint}</p>
      </div>
    </div>
  );
}
