/** Pictures to a server's stream, twenty a second: `node stream-frames.js ws://127.0.0.1:8080/v1/galleries/default/stream a.jpg …`. */
import { readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import WebSocket from "ws";

const [address = "", ...files] = process.argv.slice(2);
const key = process.env.PROTOLINE_KEY;
const socket = new WebSocket(address, { headers: key ? { "x-api-key": key } : {} });
await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));

const answered = new Promise<void>((resolve) => {
  socket.on("message", (text) => {
    const { frame, dropped, answer, error } = JSON.parse(String(text));
    console.log(
      files[frame - 1],
      answer ? `${answer.kind} ${answer.label ?? "-"}` : error.code,
      `${dropped} dropped`,
    );
    // A newer frame replaces one that waits, so the last is always answered.
    if (frame === files.length) resolve();
  });
});
for (const file of files) {
  socket.send(await readFile(file));
  await setTimeout(50);
}
await answered;
socket.close();
