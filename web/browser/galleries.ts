import { exportGallery, type GalleryInfo, importGallery, isProtolineError } from "../../src/browser/index.ts";
import { byId, fileButton, make, type Page } from "./context.ts";

/** Holds an imported gallery until its name is free. */
const waiting = "importing.protoline";

export interface GalleriesPanel {
  render(): Promise<void>;
}

export function galleriesPanel(page: Page): GalleriesPanel {
  const select = byId<HTMLSelectElement>("gallery");
  const dialog = byId<HTMLDialogElement>("gallery-dialog");
  const name = byId<HTMLInputElement>("gallery-name");

  select.addEventListener("change", () => page.wish(async () => void (await page.show(select.value))));
  byId("new-gallery").addEventListener("click", () => {
    name.value = "";
    dialog.showModal();
  });
  byId("gallery-cancel").addEventListener("click", () => dialog.close());
  byId<HTMLFormElement>("gallery-form").addEventListener("submit", () =>
    page.wish(async () => void (await page.show(name.value))),
  );

  byId("export").addEventListener("click", () =>
    page.wish(async () => {
      const { gallery } = page.recognizer;
      const link = make("a");
      link.href = URL.createObjectURL(await exportGallery(page.store, gallery));
      link.download = `${gallery}.protoline`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    }),
  );

  async function showImported({ name: gallery, head }: GalleryInfo): Promise<void> {
    if (await page.show(gallery)) page.notify(page.words.imported(gallery, head.classes, head.samples));
  }

  fileButton("import", "import-file", (files) => {
    const file = files[0]!;
    page.wish(async () => {
      try {
        await showImported(await importGallery(page.store, file, { who: "browser" }));
      } catch (error) {
        if (!isProtolineError(error) || error.code !== "GALLERY_EXISTS") throw error;
        await offerReplacement(file);
      }
    });
  });

  /** Only a file that is whole may take a gallery's place: it is read into a place of its own first. */
  async function offerReplacement(file: File): Promise<void> {
    await drop(waiting);
    await importGallery(page.store, file, { name: waiting, who: "browser" });
    const gallery = await nameIn(file);
    await drop(waiting);
    page.notify(page.words.exists(gallery), {
      text: page.words.replace,
      async run() {
        await drop(gallery);
        await showImported(await importGallery(page.store, file, { who: "browser" }));
      },
    });
  }

  async function drop(gallery: string): Promise<void> {
    if ((await page.store.galleries()).some((info) => info.name === gallery))
      await page.store.removeGallery(gallery);
  }

  byId("remove-gallery").addEventListener("click", () =>
    page.wish(async () => {
      const { gallery } = page.recognizer;
      if (!confirm(page.words.confirmRemoveGallery(gallery))) return;
      await page.store.removeGallery(gallery);
      const left = await page.store.galleries();
      await page.show(left[0]?.name ?? "default");
    }),
  );

  async function renderList(): Promise<void> {
    const all = await page.store.galleries();
    select.replaceChildren(
      ...all
        .filter((info) => info.name !== waiting)
        .map((info) => {
          const option = make("option", "", info.name);
          option.value = info.name;
          option.selected = info.name === page.recognizer.gallery;
          return option;
        }),
    );
  }

  return { render: renderList };
}

/** The name that a file gives its gallery: on its first line. */
async function nameIn(file: File): Promise<string> {
  const reader = file
    .stream()
    .pipeThrough(new DecompressionStream("gzip"))
    .pipeThrough(new TextDecoderStream())
    .getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  const header: unknown = JSON.parse(text.slice(0, text.indexOf("\n")));
  return String((header as { name?: unknown }).name);
}
