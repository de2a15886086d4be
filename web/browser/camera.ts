/** A camera's picture in a video element. */
export interface Camera {
  readonly running: boolean;
  /** Throws what the browser says where there is no camera or no permission. */
  start(deviceId?: string): Promise<void>;
  stop(): void;
  /** The cameras by id and name; names are empty until one was allowed. */
  devices(): Promise<readonly { readonly id: string; readonly name: string }[]>;
  /** The frame that shows now, as a JPEG file. */
  frame(): Promise<File>;
}

export function cameraIn(video: HTMLVideoElement): Camera {
  let stream: MediaStream | undefined;
  let frames = 0;
  return {
    get running() {
      return stream !== undefined;
    },
    async start(deviceId) {
      stream = await navigator.mediaDevices.getUserMedia({
        video: deviceId
          ? { deviceId: { exact: deviceId } }
          : { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "environment" },
      });
      video.srcObject = stream;
      await video.play();
    },
    stop() {
      for (const track of stream?.getTracks() ?? []) track.stop();
      stream = undefined;
      video.srcObject = null;
    },
    async devices() {
      const all = await navigator.mediaDevices.enumerateDevices();
      return all
        .filter(({ kind }) => kind === "videoinput")
        .map(({ deviceId, label }) => ({ id: deviceId, name: label }));
    },
    async frame() {
      const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
      canvas.getContext("2d")!.drawImage(video, 0, 0);
      const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
      return new File([blob], `camera ${++frames}.jpg`, { type: blob.type });
    },
  };
}
