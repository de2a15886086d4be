import type { Recognition } from "../../src/browser/index.ts";
import type { Camera } from "./camera.ts";
import { byId, dropPlace, fileButton, make, type Page } from "./context.ts";
import { chosen, type Dropped, dropped } from "./files.ts";
import { errorWords } from "./words.ts";

/** Between two answers for the camera, milliseconds, so that the page still answers its user. */
const pause = 50;

export interface RecognizePanel {
  render(): void;
}

export function recognizePanel(page: Page, camera: Camera, onCamera: () => Promise<void>): RecognizePanel {
  const video = byId<HTMLVideoElement>("video");
  const live = byId("live");
  const button = byId<HTMLButtonElement>("camera");
  const devices = byId<HTMLSelectElement>("cameras");
  const status = byId("recognize-status");
  const answers = byId("answers");

  /** The answer in words: what it is, what else it could be, and how sure; of unknown, how far from what is known. */
  function tell(answer: Recognition): [kind: HTMLElement, what: HTMLElement, sure: HTMLElement] {
    const { kind, candidates, confidence, limit, ms } = answer;
    const labels = candidates.slice(0, 2).map(({ label }) => label);
    const line = make("span", `kind ${kind}`, page.words[kind]);
    const what =
      kind === "known"
        ? answer.label
        : kind === "ambiguous"
          ? page.words.among(labels)
          : page.words.nearest(limit.label);
    // Confidence ranks the classes that are taught: of a frame that is none of them it says nothing.
    const sure =
      kind !== "unknown"
        ? page.words.confidence((100 * confidence).toFixed(0), ms.total.toFixed(0))
        : limit.threshold === null
          ? ""
          : page.words.farther(limit.label, (limit.distance / limit.threshold).toFixed(1));
    const rest = limit.source === "none" ? [sure, page.words.noLimit] : [sure];
    return [line, make("span", "", ` ${what}`), make("span", "file", ` ${rest.join("; ")}`)];
  }

  async function recognizeFiles(files: readonly Dropped[]): Promise<void> {
    if (files.length === 0) throw new Error(page.words.noPictures);
    answers.replaceChildren();
    for (const [i, { file }] of files.entries()) {
      status.textContent = page.words.recognizing(i + 1, files.length);
      const row = make("li");
      const image = make("img", "small");
      image.alt = "";
      image.src = URL.createObjectURL(file);
      image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
      const what = make("div", "what");
      const answer = await page.recognizer.recognize(file).catch((error: unknown) => {
        // A gallery without classes has an answer for no file.
        if ((error as { code?: unknown }).code === "GALLERY_EMPTY") throw error;
        return errorWords(error, page.language);
      });
      what.append(...(typeof answer === "string" ? [make("span", "", answer)] : tell(answer)));
      what.append(make("div", "file", file.name));
      row.append(image, what);
      answers.append(row);
    }
    status.textContent = "";
  }

  async function watch(): Promise<void> {
    while (camera.running) {
      const { recognizer } = page;
      if (recognizer.samples.length === 0 || video.videoWidth === 0) live.hidden = true;
      else {
        const answer = await recognizer.recognize(video);
        live.hidden = !camera.running;
        const [kind, what, sure] = tell(answer);
        // Read out when the answer is another, not ten times a second.
        sure.setAttribute("aria-hidden", "true");
        if (
          live.children[0]?.textContent === kind.textContent &&
          live.children[1]?.textContent === what.textContent
        )
          live.children[2]!.replaceWith(sure);
        else live.replaceChildren(kind, what, sure);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    live.hidden = true;
  }

  async function toggle(deviceId?: string): Promise<void> {
    const wasRunning = camera.running;
    camera.stop();
    if (!wasRunning || deviceId) {
      await camera.start(deviceId).catch((error: unknown) => {
        throw new Error(page.words.cameraFailed(error instanceof Error ? error.message : String(error)));
      });
      const found = await camera.devices();
      devices.replaceChildren(
        ...found.map(({ id, name }, i) => {
          const option = make("option", "", name || `${i + 1}`);
          option.value = id;
          option.selected = id === deviceId;
          return option;
        }),
      );
    }
    panel.render();
    await onCamera();
    if (camera.running) void watch().catch((error: unknown) => page.notify(errorWords(error, page.language)));
  }

  button.addEventListener("click", () => page.wish(() => toggle()));
  devices.addEventListener("change", () => page.wish(() => toggle(devices.value)));
  fileButton("recognize-choose", "recognize-files", (files) => {
    const list = chosen(files);
    page.wish(() => recognizeFiles(list));
  });
  dropPlace("recognize-drop", (data) => page.wish(async () => recognizeFiles(await dropped(data))));

  const panel: RecognizePanel = {
    render() {
      button.textContent = camera.running ? page.words.cameraStop : page.words.cameraStart;
      video.hidden = !camera.running;
      byId("camera-off").hidden = camera.running;
      devices.hidden = !camera.running || devices.options.length < 2;
      devices.setAttribute("aria-label", page.words.cameraStart);
    },
  };
  return panel;
}
