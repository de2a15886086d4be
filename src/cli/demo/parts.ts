import sharp from "sharp";
import type { Rng } from "../../core/index.ts";

/**
 * Parts for the demo, drawn instead of photographed, so that it runs on any machine without a file: a drawing of the
 * part, seen from above on a conveyor belt. What differs from frame to frame is what differs on a line: position,
 * turn, distance to the camera, direction and colour of the light, scratches, dirt, sensor noise, JPEG quality.
 */
export const partKinds = ["washer", "gear", "bracket", "motor housing", "bolt"] as const;
export type PartKind = (typeof partKinds)[number];

/** What can be wrong with a part: a piece broken out of its rim, or a crack from the rim inward. */
export type Defect = "chipped" | "cracked";

/** Pixels of a frame; the drawing has 320 units a side. */
const side = 256;
const units = 320;

const circle = (x: number, y: number, r: number): string =>
  `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;

/** A closed polygon from polar points `[radius, angle in turns]`. */
const polygon = (points: readonly (readonly [number, number])[]): string =>
  `M${points
    .map(
      ([r, turn]) =>
        `${(r * Math.cos(2 * Math.PI * turn)).toFixed(1)} ${(r * Math.sin(2 * Math.PI * turn)).toFixed(1)}`,
    )
    .join("L")}Z`;

const around = (n: number): number[] => Array.from({ length: n }, (_, i) => i / n);

/** Outline (holes by the even-odd rule) and the lines on top of it; about 190 units wide, the middle at 0, 0. */
interface Drawing {
  readonly outline: string;
  readonly lines: string;
  /** Red, green, blue of the bare material, 0 … 255. */
  readonly material: readonly [number, number, number];
}

const drawings: Readonly<Record<PartKind, Drawing>> = {
  washer: {
    outline: circle(0, 0, 84) + circle(0, 0, 44),
    lines: circle(0, 0, 80) + circle(0, 0, 48),
    material: [188, 190, 194],
  },
  gear: {
    outline:
      polygon(
        around(20).flatMap((turn): [number, number][] => [
          [80, turn - 0.016],
          [96, turn - 0.009],
          [96, turn + 0.009],
          [80, turn + 0.016],
        ]),
      ) +
      circle(0, 0, 22) +
      "M-6 -30h12v10h-12Z",
    lines: circle(0, 0, 70) + circle(0, 0, 36),
    material: [180, 180, 178],
  },
  bracket: {
    outline: `M-85 -85h58v112h112v58h-170Z${circle(-56, -54, 14)}${circle(-56, 0, 14)}${circle(0, 56, 14)}${circle(54, 56, 14)}`,
    lines: "M-27 27L-85 85M-33 -85v118h118",
    material: [170, 176, 184],
  },
  "motor housing": {
    outline:
      polygon(
        around(4).flatMap((turn): [number, number][] => [
          [76, turn + 0.055],
          [102, turn + 0.1],
          [106, turn + 0.125],
          [102, turn + 0.15],
          [76, turn + 0.195],
          [74, turn + 0.25],
        ]),
      ) +
      around(4)
        .map((turn) =>
          circle(91 * Math.cos(2 * Math.PI * (turn + 0.125)), 91 * Math.sin(2 * Math.PI * (turn + 0.125)), 7),
        )
        .join(""),
    lines:
      circle(0, 0, 60) +
      circle(0, 0, 30) +
      circle(0, 0, 13) +
      around(24)
        .map((turn) =>
          polygon([
            [34, turn],
            [57, turn],
          ]),
        )
        .join(""),
    material: [150, 156, 160],
  },
  bolt: {
    outline: "M-94 -36h40v18h144l6 6v24l-6 6h-144v18h-40l-6 -8v-56Z",
    lines: `M-54 -36v72M-94 -14h40M-94 14h40${Array.from({ length: 13 }, (_, i) => `M${-2 + 7 * i} -18l4 36`).join("")}`,
    material: [186, 184, 178],
  },
};

/** Where a part ends, about: units from its middle. */
const rim = 88;

/** `cut` is taken out of the part, `drawn` lies on it. */
function flaw(defect: Defect | undefined, rng: Rng): { readonly cut: string; readonly drawn: string } {
  const turn = rng.next();
  if (defect === "chipped") {
    const radius = 30 + 10 * rng.next();
    const edge = around(11).map((at): [number, number] => [radius * (0.75 + 0.4 * rng.next()), at]);
    const [x, y] = [rim * Math.cos(2 * Math.PI * turn), rim * Math.sin(2 * Math.PI * turn)];
    return { cut: `<path transform="translate(${x} ${y})" d="${polygon(edge)}"/>`, drawn: "" };
  }
  if (defect === "cracked") {
    const points = around(9).map((at): [number, number] => [
      (rim + 12) * (1 - 0.75 * at),
      turn + 0.035 * (rng.next() - 0.5),
    ]);
    return {
      cut: "",
      drawn: `<path d="${polygon(points).replace(/Z$/, "")}" stroke="rgb(24,20,18)" stroke-width="${5 + 2 * rng.next()}"/>`,
    };
  }
  return { cut: "", drawn: "" };
}

function svg(kind: PartKind, rng: Rng, defect: Defect | undefined): string {
  const between = (low: number, high: number): number => low + (high - low) * rng.next();
  // Of a stream of its own: the same seed gives the same frame, with the flaw and without.
  const { cut, drawn } = flaw(defect, rng.fork(1));
  const everywhere = `x="-${units}" y="-${units}" width="${2 * units}" height="${2 * units}"`;
  const masked = cut && ' mask="url(#rest)"';
  const mask =
    cut &&
    `<mask id="rest" maskUnits="userSpaceOnUse" ${everywhere}><rect ${everywhere} fill="white"/>${cut}</mask>`;
  const { outline, lines, material } = drawings[kind];
  const turn = between(0, 360);
  const light = between(0, 360);
  const brightness = between(0.88, 1.12);
  const warmth = between(-8, 8);
  const shade = (factor: number): string =>
    `rgb(${material.map((value, i) => Math.max(0, Math.min(255, Math.round((value + (1 - i) * warmth) * factor * brightness)))).join()})`;
  const belt = Math.round(between(52, 74) * brightness);
  const [dx, dy] = [9 * Math.cos((light * Math.PI) / 180), 9 * Math.sin((light * Math.PI) / 180)];
  const scratches = Array.from({ length: rng.int(9) }, () => {
    const [x, y, length, angle] = [between(-90, 90), between(-90, 90), between(10, 60), between(0, 6.3)];
    return `M${x} ${y}l${length * Math.cos(angle)} ${length * Math.sin(angle)}`;
  }).join("");
  const dirt = Array.from(
    { length: rng.int(5) },
    () =>
      `<ellipse cx="${between(-95, 95)}" cy="${between(-95, 95)}" rx="${between(2, 9)}" ry="${between(2, 6)}" fill="rgb(48,40,30)" opacity="${between(0.15, 0.5)}"/>`,
  ).join("");
  const ribs = Array.from({ length: 16 }, (_, i) => `M0 ${i * 20 + between(-1, 1)}h${units}`).join("");
  const place = `translate(${160 + between(-26, 26)} ${160 + between(-26, 26)}) rotate(${turn}) scale(${between(0.94, 1.08)})`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}" viewBox="0 0 ${units} ${units}">
<defs><linearGradient id="metal" gradientTransform="rotate(${light - turn} .5 .5)">
<stop offset="0" stop-color="${shade(0.72)}"/><stop offset=".45" stop-color="${shade(1)}"/><stop offset=".6" stop-color="${shade(1.22)}"/><stop offset="1" stop-color="${shade(0.86)}"/></linearGradient>
<radialGradient id="lamp" cx="${between(0.2, 0.8)}" cy="${between(0.2, 0.8)}" r=".8"><stop offset="0" stop-color="white" stop-opacity="${between(0.04, 0.2)}"/><stop offset="1" stop-color="black" stop-opacity="${between(0.05, 0.25)}"/></radialGradient>
${mask}<filter id="soft"><feGaussianBlur stdDeviation="5"/></filter><clipPath id="part"><path d="${outline}" clip-rule="evenodd"/></clipPath></defs>
<rect width="${units}" height="${units}" fill="rgb(${belt},${belt + 6},${belt + 4})"/><path d="${ribs}" stroke="black" opacity=".16" stroke-width="3"/>
<g transform="translate(${dx} ${dy})"><g transform="${place}"${masked}><path d="${outline}" fill-rule="evenodd" opacity=".55" filter="url(#soft)"/></g></g>
<g transform="${place}"><g${masked}><path d="${outline}" fill="url(#metal)" fill-rule="evenodd" stroke="${shade(0.5)}" stroke-width="2"/>
<g clip-path="url(#part)" fill="none"><path d="${lines}" stroke="${shade(0.6)}" stroke-width="3"/><path d="${scratches}" stroke="white" opacity=".45"/>${dirt}${drawn}</g></g></g>
<rect width="${units}" height="${units}" fill="url(#lamp)"/></svg>`;
}

/** One frame of a part, flawless unless a defect is named, 256 × 256 pixels, as the bytes of a JPEG. */
export async function drawPart(kind: PartKind, rng: Rng, defect?: Defect): Promise<Uint8Array> {
  const { data } = await sharp(Buffer.from(svg(kind, rng, defect)))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const noise = 1.5 + 3 * rng.next();
  // Three uniform numbers are near enough to a normal one, and ten times as fast.
  for (let pixel = 0; pixel < data.length; pixel += 3) {
    const grain = 2 * noise * (rng.next() + rng.next() + rng.next() - 1.5);
    for (let i = pixel; i < pixel + 3; i++)
      data[i] = Math.max(0, Math.min(255, Math.round(data[i]! + grain)));
  }
  return sharp(data, { raw: { width: side, height: side, channels: 3 } })
    .jpeg({ quality: 84 + rng.int(12) })
    .toBuffer();
}
