import { openEncoder, openStore, Recognizer } from "protoline/browser";

const encoder = await openEncoder("model.onnx", { runtimeFiles: "ort/" });
const store = await openStore("indexeddb:line");
const recognizer = await Recognizer.open({ encoder, store });

export async function enroll(label: string, files: FileList) {
  const { added, rejected } = await recognizer.enroll(label, [...files]);
  for (const { origin, message } of rejected) console.warn(origin, message);
  return added.length;
}

export async function look(video: HTMLVideoElement) {
  const answer = await recognizer.recognize(video);
  return answer.kind === "known" ? answer.label : answer.kind;
}
