import type { GalleryStore, openEncoder, Recognizer } from "../../src/browser/index.ts";
import type { Language, Words } from "./words.ts";

/** What the parts of the page share. */
export interface Page {
  readonly store: GalleryStore;
  readonly encoder: Awaited<ReturnType<typeof openEncoder>>;
  /** Of the gallery that is shown. */
  recognizer: Recognizer;
  language: Language;
  words: Words;
  /** Says something above everything else, with something to do about it. */
  notify(text: string, action?: { readonly text: string; readonly run: () => Promise<void> }): void;
  /** Runs a user's wish; what goes wrong is told. */
  wish(work: () => Promise<void>): void;
  /** Shows the gallery at hand anew. */
  refresh(): Promise<void>;
  /**
   * Shows another gallery, which is made where it does not exist. One that another model made stays where it is, and
   * its user is asked; then the answer is false.
   */
  show(gallery: string, onModelMismatch?: "refuse" | "reembed"): Promise<boolean>;
}

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`#${id}`);
  return found as T;
}

/** An element with a class and text; text from outside is never markup. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  text = "",
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** A place to drop files on. */
export function dropPlace(id: string, onDrop: (data: DataTransfer) => void): void {
  const place = byId(id);
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    if (event.dataTransfer) onDrop(event.dataTransfer);
  });
}

/** A button that opens the file dialog of a hidden input. */
export function fileButton(button: string, input: string, onFiles: (files: FileList) => void): void {
  const files = byId<HTMLInputElement>(input);
  byId(button).addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    if (files.files && files.files.length > 0) onFiles(files.files);
    // The same file may be chosen again.
    files.value = "";
  });
}
