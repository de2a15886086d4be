/** A folder of pictures for each part, and a folder of frames: `node enroll-and-recognize.js parts frames`. */
import { listClasses, listImages, Recognizer } from "protoline";

const [parts = "parts", frames = "frames"] = process.argv.slice(2);

const recognizer = await Recognizer.open({ store: "sqlite:line.db" });
for (const { label, images } of (await listClasses(parts)).classes) await recognizer.enroll(label, images);

for (const file of (await listImages(frames)).images) {
  const answer = await recognizer.recognize(file);
  console.log(file, answer.kind, answer.kind === "known" ? answer.label : "-", answer.confidence.toFixed(2));
}
await recognizer.close();
