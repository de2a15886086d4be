import type { Api } from "./api.ts";
import { enrollPictures } from "./enroll.ts";

/** The built-in sample: drawn parts, files beside the page. */
export interface SampleList {
  readonly classes: readonly { readonly label: string; readonly files: readonly string[] }[];
  /** What its line shows, one part after another; one kind of them is in no class. */
  readonly frames: readonly string[];
}

async function ask(name: string): Promise<Response> {
  const response = await fetch(new URL(`sample/${name}`, document.baseURI));
  if (!response.ok) throw new Error(`${name}: ${response.statusText}`);
  return response;
}

export const sampleList = async (): Promise<SampleList> => (await ask("sample.json")).json();

export async function sampleFile(name: string): Promise<File> {
  const blob = await (await ask(name)).blob();
  return new File([blob], name, { type: "image/jpeg" });
}

/** Enrolls the sample's classes; the gallery is made where there is none. Returns the gallery's name. */
export async function enrollSample(
  api: Api,
  gallery: string | null,
  progress: (label: string, done: number, of: number) => void,
): Promise<string> {
  const name = gallery ?? "default";
  if (gallery === null) await api.send("POST", "v1/galleries", { name });
  const { classes } = await sampleList();
  for (const [i, { label, files }] of classes.entries()) {
    progress(label, i, classes.length);
    await enrollPictures(api, name, label, await Promise.all(files.map(sampleFile)));
  }
  return name;
}
