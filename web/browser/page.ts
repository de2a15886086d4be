import { isProtolineError, openEncoder, openStore, Recognizer } from "../../src/browser/index.ts";
import { cameraIn } from "./camera.ts";
import { byId, type Page } from "./context.ts";
import { galleriesPanel } from "./galleries.ts";
import { recognizePanel } from "./recognize.ts";
import { teachPanel } from "./teach.ts";
import { errorWords, type Language, words } from "./words.ts";

/** What a private window refuses to keep is chosen anew the next time. */
function remembered(key: string): string | null {
  try {
    return localStorage.getItem(`protoline.${key}`);
  } catch {
    return null;
  }
}
function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`protoline.${key}`, value);
  } catch {}
}

let language: Language =
  remembered("language") === "zh" || (remembered("language") === null && /^zh/i.test(navigator.language))
    ? "zh"
    : "en";

function notify(text: string, action?: { readonly text: string; readonly run: () => Promise<void> }): void {
  byId("notice").hidden = false;
  byId("notice-text").textContent = text;
  const button = byId<HTMLButtonElement>("notice-action");
  button.hidden = !action;
  button.textContent = action?.text ?? "";
  button.onclick = action
    ? () => {
        byId("notice").hidden = true;
        wish(action.run);
      }
    : null;
}
const wish = (work: () => Promise<void>): void =>
  void work().catch((error: unknown) => notify(errorWords(error, language)));

function writeWords(): void {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll<HTMLElement>("[data-word]")) {
    const word = words[language][element.dataset.word as keyof (typeof words)["en"]];
    if (typeof word === "string") element.textContent = word;
  }
  const other = byId("language");
  other.textContent = language === "zh" ? "English" : "中文";
  other.lang = language === "zh" ? "en" : "zh-CN";
}

async function start(): Promise<void> {
  const bar = byId<HTMLProgressElement>("loading-progress");
  const encoder = await openEncoder("./model.onnx", {
    runtimeFiles: "./ort/",
    onProgress(bytes, of) {
      if (of === null) return;
      bar.max = of;
      bar.value = bytes;
    },
  });
  const store = await openStore("indexeddb:protoline");
  // Asks the browser not to throw the galleries away when space is short; it may decline.
  await navigator.storage?.persist?.().catch(() => false);

  const camera = cameraIn(byId<HTMLVideoElement>("video"));
  const wanted = remembered("gallery") ?? "default";
  const known = await store.galleries();
  const gallery = known.find(({ name }) => name === wanted) ?? known[0];
  const fits = !gallery || gallery.modelHash === encoder.modelHash;
  const page: Page = {
    store,
    encoder,
    recognizer: await Recognizer.open({
      encoder,
      store,
      gallery: fits ? (gallery?.name ?? "default") : `default-${encoder.modelHash.slice(0, 8)}`,
    }),
    language,
    words: words[language],
    notify,
    wish,
    async refresh() {
      await page.recognizer.refresh();
      await teach.render();
    },
    async show(name, onModelMismatch = "refuse") {
      try {
        page.recognizer = await Recognizer.open({ encoder, store, gallery: name, onModelMismatch });
      } catch (error) {
        if (!isProtolineError(error) || error.code !== "MODEL_MISMATCH") throw error;
        const { model } = await store.gallery(name);
        notify(page.words.otherModel(name, model, encoder.manifest.name), {
          text: page.words.reembed,
          run: async () => void (await page.show(name, "reembed")),
        });
        await render();
        return false;
      }
      remember("gallery", name);
      byId("answers").replaceChildren();
      await render();
      return true;
    },
  };
  const teach = teachPanel(page, camera);
  const recognize = recognizePanel(page, camera, () => teach.render());
  const galleries = galleriesPanel(page);

  async function render(): Promise<void> {
    byId("model").textContent = page.words.model(
      encoder.manifest.name,
      encoder.provider === "webgpu" ? "WebGPU" : "WASM",
      encoder.embeddingDim,
    );
    recognize.render();
    await Promise.all([teach.render(), galleries.render()]);
  }
  byId("language").addEventListener("click", () => {
    language = language === "zh" ? "en" : "zh";
    remember("language", language);
    page.language = language;
    page.words = words[language];
    writeWords();
    // What was said stays in the language in which it was said: better gone.
    byId("notice").hidden = true;
    for (const id of ["enroll-status", "recognize-status", "answers"]) byId(id).replaceChildren();
    wish(render);
  });
  await render();
  byId("main").hidden = false;
  if (!fits) await page.show(gallery.name);
}

writeWords();
byId("notice-close").addEventListener("click", () => {
  byId("notice").hidden = true;
});
// A file that misses its place must not replace the page.
for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());
// Where the origin is not a secure one there is none, and the page needs its server again.
navigator.serviceWorker?.register("./offline.js").catch(() => undefined);
wish(async () => {
  try {
    await start();
  } finally {
    byId("loading").hidden = true;
  }
});
