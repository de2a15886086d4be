import { checkLabel } from "../../src/browser/index.ts";
import type { Camera } from "./camera.ts";
import { byId, dropPlace, fileButton, make, type Page } from "./context.ts";
import { byClass, chosen, type Dropped, dropped } from "./files.ts";
import { codeWords } from "./words.ts";

/** Pictures enrolled at a time: what the status counts by. */
const step = 8;
/** Between two frames while recording, milliseconds. */
const recordEvery = 200;

export interface TeachPanel {
  /** Shows the classes of the gallery. */
  render(): Promise<void>;
}

export function teachPanel(page: Page, camera: Camera): TeachPanel {
  const label = byId<HTMLInputElement>("label");
  const status = byId("enroll-status");
  const bar = byId<HTMLProgressElement>("enroll-progress");
  const record = byId<HTMLButtonElement>("record");
  const thumbnails = new Map<string, string>();
  /** Enrollments wait for each other, so that their words do not mix. */
  let last: Promise<void> = Promise.resolve();

  async function enrollClass(name: string, files: readonly File[]): Promise<string[]> {
    const started = performance.now();
    const rejected: string[] = [];
    let [added, duplicates] = [0, 0];
    for (let from = 0; from < files.length; from += step) {
      status.textContent = page.words.enrolling(name, from, files.length);
      bar.max = files.length;
      bar.value = from;
      bar.hidden = false;
      const part = files.slice(from, from + step);
      const result = await page.recognizer.enroll(name, part, { who: "browser" });
      added += result.added.length;
      duplicates += result.duplicates.length;
      for (const { origin, code, message } of result.rejected)
        rejected.push(`${origin}: ${codeWords(code, message, page.language)}`);
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    return [page.words.enrolled(name, added, duplicates, seconds), ...rejected];
  }

  function enroll(files: readonly Dropped[]): void {
    page.wish(async () => {
      if (files.length === 0) throw new Error(page.words.noPictures);
      const groups = byClass(files, label.value.trim());
      if (groups.size === 0) {
        label.focus();
        throw new Error(page.words.needName);
      }
      const work = last.then(async () => {
        const lines: string[] = [];
        try {
          for (const [name, group] of groups) lines.push(...(await enrollClass(checkLabel(name), group)));
        } finally {
          bar.hidden = true;
          await page.refresh();
          status.textContent = lines.join("\n");
        }
      });
      last = work.catch(() => undefined);
      await work;
    });
  }

  let recording: File[] | undefined;
  async function startRecording(): Promise<void> {
    if (recording || !camera.running) return;
    const frames: File[] = [];
    recording = frames;
    record.classList.add("recording");
    record.textContent = page.words.recording;
    while (recording === frames) {
      frames.push(await camera.frame());
      status.textContent = page.words.pictures(frames.length);
      await new Promise((resolve) => setTimeout(resolve, recordEvery));
    }
    enroll(frames.map((file) => ({ file, folder: null })));
  }
  function stopRecording(): void {
    recording = undefined;
    record.classList.remove("recording");
    record.textContent = page.words.record;
  }
  const begin = (): void =>
    page.wish(async () => {
      if (label.value.trim() === "") {
        label.focus();
        throw new Error(page.words.needName);
      }
      await startRecording();
    });
  record.addEventListener("pointerdown", begin);
  for (const end of ["pointerup", "pointercancel", "pointerleave", "blur"])
    record.addEventListener(end, stopRecording);
  record.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) begin();
  });
  record.addEventListener("keyup", stopRecording);

  fileButton("enroll-choose", "enroll-files", (files) => enroll(chosen(files)));
  fileButton("enroll-folder", "enroll-folder-files", (files) => enroll(chosen(files)));
  dropPlace("enroll-drop", (data) => page.wish(async () => enroll(await dropped(data))));

  async function remove(name: string): Promise<void> {
    const { store, recognizer } = page;
    const before = recognizer.revision.number;
    await store.removeClass(recognizer.gallery, name, { who: "browser" });
    await page.refresh();
    page.notify(page.words.removed(name), {
      text: page.words.undo,
      async run() {
        await store.rollback(recognizer.gallery, before, { who: "browser" });
        await page.refresh();
      },
    });
  }

  async function picture(id: string): Promise<HTMLImageElement> {
    const image = make("img", "small");
    image.alt = "";
    const key = `${page.recognizer.gallery}/${id}`;
    let address = thumbnails.get(key);
    if (!address) {
      const kept = await page.store.image(page.recognizer.gallery, id);
      if (kept) {
        address = URL.createObjectURL(new Blob([new Uint8Array(kept.bytes)], { type: kept.type }));
        thumbnails.set(key, address);
      }
    }
    if (address) image.src = address;
    return image;
  }

  return {
    async render() {
      const counts = new Map<string, { n: number; first: string }>();
      for (const { id, label: name } of page.recognizer.samples) {
        const entry = counts.get(name);
        if (entry) entry.n++;
        else counts.set(name, { n: 1, first: id });
      }
      const rows = await Promise.all(
        [...counts]
          .sort(([a], [b]) => a.localeCompare(b))
          .map(async ([name, { n, first }]) => {
            const row = make("li");
            const button = make("button", "", page.words.remove);
            button.type = "button";
            button.setAttribute("aria-label", `${page.words.remove}: ${name}`);
            button.addEventListener("click", () => page.wish(() => remove(name)));
            row.append(
              await picture(first),
              make("span", "name", name),
              make("span", "count", page.words.pictures(n)),
              button,
            );
            return row;
          }),
      );
      byId("classes").replaceChildren(...rows);
      byId("no-classes").hidden = rows.length > 0;
      byId("labels").replaceChildren(
        ...[...counts.keys()].map((name) => {
          const option = make("option");
          option.value = name;
          return option;
        }),
      );
      if (!recording) record.textContent = page.words.record;
      record.disabled = !camera.running;
      record.title = camera.running ? "" : page.words.recordHint;
    },
  };
}
