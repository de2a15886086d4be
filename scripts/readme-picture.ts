/**
 * The picture of the README, docs/recognized.png: drawn parts of the demo with the answers that they really got.
 * `npm run build && npx tsx scripts/readme-picture.ts`
 */
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { drawPart, type PartKind } from "../src/cli/demo/parts.ts";
import { createRng } from "../src/core/index.ts";
import { Recognizer } from "../src/recognizer/index.ts";

const shown: readonly PartKind[] = ["washer", "gear", "bracket"];
const asked: readonly PartKind[] = [
  "washer",
  "gear",
  "bracket",
  "motor housing",
  "gear",
  "bolt",
  "washer",
  "bracket",
];
const [side, caption, gap, columns] = [180, 46, 12, 4];
const colours = { known: "#1a7f4b", unknown: "#b42318", ambiguous: "#b76e00" } as const;

const rng = createRng(1);
let drawn = 0;
const draw = (kind: PartKind): Promise<Uint8Array> => drawPart(kind, rng.fork(drawn++));

const recognizer = await Recognizer.open({ model: "compact" });
for (const kind of shown)
  await recognizer.enroll(kind, await Promise.all(Array.from({ length: 10 }, () => draw(kind))));

const tiles = await Promise.all(
  asked.map(async (kind, i) => {
    const picture = await draw(kind);
    const answer = await recognizer.recognize(picture);
    const colour = colours[answer.kind];
    const text = answer.kind === "known" ? answer.label : answer.kind;
    const { distance, threshold } = answer.limit;
    const detail = `distance ${distance.toFixed(2)}, limit ${threshold?.toFixed(2) ?? "none"}`;
    const frame = `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side + caption}">
      <rect x="1.5" y="1.5" width="${side - 3}" height="${side + caption - 3}" fill="none" stroke="${colour}" stroke-width="3"/>
      <rect y="${side}" width="${side}" height="${caption}" fill="${colour}"/>
      <g font-family="sans-serif" fill="#fff"><text x="10" y="${side + 20}" font-size="16" font-weight="bold">${text}</text>
      <text x="10" y="${side + 37}" font-size="11">${detail}</text></g></svg>`;
    const input = await sharp({
      create: { width: side, height: side + caption, channels: 3, background: "#fff" },
    })
      .composite([
        { input: await sharp(picture).resize(side, side).png().toBuffer(), top: 0, left: 0 },
        { input: Buffer.from(frame) },
      ])
      .png()
      .toBuffer();
    return {
      input,
      left: gap + (i % columns) * (side + gap),
      top: gap + Math.floor(i / columns) * (side + caption + gap),
    };
  }),
);
await recognizer.close();
const rows = Math.ceil(asked.length / columns);
await sharp({
  create: {
    width: gap + columns * (side + gap),
    height: gap + rows * (side + caption + gap),
    channels: 3,
    background: "#fff",
  },
})
  .composite(tiles)
  .png({ palette: true, colours: 128 })
  .toFile(fileURLToPath(new URL("../docs/recognized.png", import.meta.url)));
