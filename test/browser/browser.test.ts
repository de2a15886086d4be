import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { openEncoder as openThere, Recognizer as RecognizerThere } from "../../src/browser/index.ts";
import { drawPart, type PartKind } from "../../src/cli/demo/parts.ts";
import { createRng, isProtolineError, row } from "../../src/core/index.ts";
import { type Encoder, openEncoder } from "../../src/models/index.ts";
import { type Recognition, Recognizer } from "../../src/recognizer/index.ts";
import { buildServer } from "../../src/server/index.ts";
import { exportGallery, type GalleryStore, importGallery, openStore } from "../../src/store/index.ts";
import { chromiumPath, openSite, type Site, webGpu } from "./site.ts";

if (!chromiumPath)
  console.log(
    "browser: no Chromium here (apt-get install chromium, or PROTOLINE_CHROMIUM=PATH): its tests are skipped",
  );

const kinds = ["washer", "gear", "bracket"] as const satisfies readonly PartKind[];
/** Never enrolled. */
const stranger: PartKind = "bolt";
const shots = 10;

async function draw(kind: PartKind, count: number, seed: number): Promise<Uint8Array[]> {
  const rng = createRng(seed);
  const pictures: Uint8Array[] = [];
  for (let i = 0; i < count; i++) pictures.push(await drawPart(kind, rng));
  return pictures;
}

/** What both must agree in: not the times, and the numbers only as far as the runtimes do. */
const answer = (found: Recognition) => ({
  kind: found.kind,
  label: found.kind === "known" ? found.label : null,
  candidates: found.candidates.map(({ label }) => label),
  revision: found.revision,
});

/** What the harness's page holds once the model is open. */
interface There {
  readonly encoder: Awaited<ReturnType<typeof openThere>>;
  readonly recognizer: RecognizerThere;
}

/** ‖a − b‖ / ‖b‖ */
function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let [difference, norm] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    norm += b[i]! ** 2;
  }
  return Math.sqrt(difference / norm);
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

describe.skipIf(!chromiumPath)("in Chromium", () => {
  let site: Site;
  let encoder: Encoder;
  let folder: string;
  const parts = new Map<PartKind, Uint8Array[]>();
  const frames = new Map<PartKind, Uint8Array[]>();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "protoline-browser-"));
    [site, encoder] = await Promise.all([openSite(), openEncoder("compact")]);
    for (const [i, kind] of [...kinds, stranger].entries()) {
      if (kind !== stranger) parts.set(kind, await draw(kind, shots, i));
      frames.set(kind, await draw(kind, 4, 100 + i));
    }
  });
  afterAll(async () => {
    await site?.close();
    await encoder?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Fails the test that looks at it where the page's policy was broken or a script failed. */
  function complaintsOf(page: Page): string[] {
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (!["blob:", "data:"].includes(url.protocol) && url.origin !== site.address)
        complaints.push(`another address: ${url}`);
    });
    return complaints;
  }

  async function harness(): Promise<Page> {
    const context = await site.browser.newContext();
    const page = await context.newPage();
    await page.goto(`${site.address}/test/`);
    await page.waitForFunction(() => "protoline" in globalThis);
    return page;
  }

  describe("the library", () => {
    let page: Page;
    beforeAll(async () => {
      page = await harness();
      await page.evaluate(async () => {
        const { openEncoder, Recognizer } = protoline;
        const encoder = await openEncoder("/model.onnx", {
          runtimeFiles: "/ort/",
          provider: "wasm",
          threads: 2,
        });
        Object.assign(globalThis, { encoder, recognizer: await Recognizer.open({ encoder }) });
      });
    });

    const embedThere = (pictures: readonly Uint8Array[]): Promise<number[][]> =>
      page.evaluate(async (encoded) => {
        const { recognizer } = globalThis as unknown as There;
        const bytes = encoded.map((text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
        const { data, n, dim } = await recognizer.embed(bytes);
        return Array.from({ length: n }, (_, i) => Array.from(data.subarray(i * dim, (i + 1) * dim)));
      }, pictures.map(base64));

    it("runs on threads where the page is isolated", async () => {
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
      expect(page.workers()).not.toEqual([]);
    });

    it("has the bundle's model hash", async () => {
      const there = await page.evaluate(() => {
        const { encoder } = globalThis as unknown as There;
        return { hash: encoder.modelHash, provider: encoder.provider, dim: encoder.embeddingDim };
      });
      expect(there).toEqual({ hash: encoder.modelHash, provider: "wasm", dim: encoder.embeddingDim });
    });

    it("embeds JPEG, PNG, WebP, BMP and GIF as Node does, to 1e-3", async () => {
      const [plain] = parts.get("gear")!;
      const large = sharp(parts.get("bracket")![0]!).resize(901, 677, { fit: "fill" });
      const hole = { create: { width: 90, height: 90, channels: 4, background: "#0000" } } as const;
      const pictures: Record<string, Uint8Array> = {
        "a JPEG": plain!,
        "another JPEG": parts.get("washer")![1]!,
        "a large JPEG without chroma subsampling": await large
          .jpeg({ chromaSubsampling: "4:4:4" })
          .toBuffer(),
        "a large PNG": await large.png().toBuffer(),
        "a turned JPEG": await sharp(plain)
          .rotate(90)
          .jpeg({ quality: 95 })
          .withMetadata({ orientation: 6 })
          .toBuffer(),
        "a mirrored JPEG": await sharp(plain)
          .flop()
          .jpeg({ quality: 95 })
          .withMetadata({ orientation: 2 })
          .toBuffer(),
        "a PNG with alpha": await sharp(plain)
          .ensureAlpha()
          .composite([{ input: await sharp(hole).png().toBuffer(), blend: "source", left: 60, top: 80 }])
          .png()
          .toBuffer(),
        "a grey PNG": await sharp(plain).grayscale().png().toBuffer(),
        "a PNG of 16 bits": await sharp(plain).toColourspace("rgb16").png().toBuffer(),
        "a JPEG in Display P3": await sharp(plain).withIccProfile("p3").jpeg({ quality: 95 }).toBuffer(),
        "a WebP": await sharp(plain).webp({ lossless: true }).toBuffer(),
        "a GIF": await sharp(plain).gif().toBuffer(),
      };
      const recognizer = await Recognizer.open({ model: encoder });
      const here = await recognizer.embed(Object.values(pictures));
      const there = await embedThere(Object.values(pictures));
      const off = Object.keys(pictures).map((name, i) => [name, apart(there[i]!, row(here, i))] as const);
      console.log(
        `browser: embeddings against Node's, ‖a − b‖ / ‖b‖: ${off.map(([name, value]) => `${name} ${value.toExponential(1)}`).join(", ")}`,
      );
      // Another colour space goes through another library there, which rounds differently in many pixels.
      for (const [name, value] of off)
        expect(value, name).toBeLessThan(name.includes("Display P3") ? 3e-3 : 1e-3);
      await recognizer.close();
    });

    it("answers as Node does", async () => {
      const here = await Recognizer.open({ model: encoder });
      for (const kind of kinds) await here.enroll(kind, parts.get(kind)!);
      const all = [...frames.values()].flat();
      const expected = (await here.recognizeBatch(all)) as Recognition[];
      const there = await page.evaluate(
        async ({ classes, queries }) => {
          const { recognizer } = globalThis as unknown as There;
          const decode = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
          for (const [label, pictures] of classes) await recognizer.enroll(label, pictures.map(decode));
          return recognizer.recognizeBatch(queries.map(decode));
        },
        {
          classes: kinds.map((kind) => [kind, parts.get(kind)!.map(base64)] as const),
          queries: all.map(base64),
        },
      );
      expect((there as Recognition[]).map(answer)).toEqual(expected.map(answer));
      for (const [i, found] of expected.entries()) {
        expect((there[i] as Recognition).distance).toBeCloseTo(found.distance, 2);
        expect((there[i] as Recognition).confidence).toBeCloseTo(found.confidence, 1);
      }
      expect(new Set(expected.map(({ kind }) => kind))).toContain("known");
      expect(new Set(expected.map(({ kind }) => kind))).toContain("unknown");
      await here.close();
    });

    it("takes pixels of a canvas, a bitmap and a video frame as it takes their file", async () => {
      const png = await sharp(parts.get("gear")![0]!).png().toBuffer();
      const off = await page.evaluate(async (text) => {
        const { recognizer } = globalThis as unknown as There;
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        const blob = new Blob([bytes], { type: "image/png" });
        const bitmap = await createImageBitmap(blob);
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
        const context = canvas.getContext("2d")!;
        context.drawImage(bitmap, 0, 0);
        const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
        const frame = new VideoFrame(bitmap, { timestamp: 0 });
        const { data, dim } = await recognizer.embed([bytes, blob, bitmap, canvas, pixels, frame]);
        frame.close();
        return [1, 2, 3, 4, 5].map((i) =>
          Math.max(...data.subarray(i * dim, (i + 1) * dim).map((x, j) => Math.abs(x - data[j]!))),
        );
      }, base64(png));
      for (const value of off) expect(value).toBeLessThan(1e-6);
    });

    it("refuses what Node refuses, with the same codes", async () => {
      const jpeg = parts.get("gear")![0]!;
      const png = await sharp(jpeg).png().toBuffer();
      const webp = await sharp(jpeg).webp().toBuffer();
      const files: Record<string, Uint8Array> = {
        nothing: new Uint8Array(0),
        text: new TextEncoder().encode("no picture"),
        "half a JPEG": jpeg.subarray(0, jpeg.length >> 1),
        "half a PNG": png.subarray(0, png.length >> 1),
        "half a WebP": webp.subarray(0, webp.length >> 1),
        "too small": await sharp(jpeg).resize(4, 4).png().toBuffer(),
      };
      const here = await Recognizer.open({ model: encoder });
      const expected = await Promise.all(
        Object.values(files).map((bytes) =>
          here.embed([bytes]).then(
            () => "no error",
            (error: unknown) => (isProtolineError(error) ? error.code : String(error)),
          ),
        ),
      );
      const there = await page.evaluate(
        (encoded) =>
          Promise.all(
            encoded.map((text) =>
              protoline.decodePicture(Uint8Array.from(atob(text), (c) => c.charCodeAt(0))).then(
                () => "no error",
                (error: unknown) => (protoline.isProtolineError(error) ? error.code : String(error)),
              ),
            ),
          ),
        Object.values(files).map(base64),
      );
      expect(there).toEqual(expected);
      expect(there).not.toContain("no error");
      const tiff = await sharp(jpeg).tiff().toBuffer();
      await expect(embedThere([tiff])).rejects.toThrow("TIFF, which browsers cannot decode");
      await here.close();
    });

    it.runIf(webGpu)("embeds on WebGPU as on WASM", async () => {
      const there = await page.evaluate(async () => {
        const { openEncoder, Recognizer, isProtolineError } = protoline;
        const { recognizer } = globalThis as unknown as There;
        const pixels = new ImageData(160, 120);
        for (let i = 0; i < pixels.data.length; i++) pixels.data[i] = i % 4 === 3 ? 255 : (i * i) % 251;
        try {
          const encoder = await openEncoder("/model.onnx", { runtimeFiles: "/ort/", provider: "webgpu" });
          const gpu = await Recognizer.open({ encoder });
          const [a, b] = [await gpu.embed([pixels]), await recognizer.embed([pixels])];
          return { provider: encoder.provider, a: [...a.data], b: [...b.data] };
        } catch (error) {
          return isProtolineError(error) ? error.code : String(error);
        }
      });
      if (typeof there === "string") throw new Error(there);
      expect(there.provider).toBe("webgpu");
      expect(apart(there.a, there.b)).toBeLessThan(1e-3);
    });

    it("refuses a bundle that was changed or is none", async () => {
      const codes = await page.evaluate(async () => {
        const code = (work: Promise<unknown>) =>
          work.then(
            () => "no error",
            (error: unknown) => (protoline.isProtolineError(error) ? error.code : String(error)),
          );
        const bytes = new Uint8Array(await (await fetch("/model.onnx")).arrayBuffer());
        const changed = bytes.slice();
        changed[200]! ^= 1;
        return [
          await code(protoline.openEncoder("/none.onnx")),
          await code(protoline.openEncoder(new TextEncoder().encode("no model"))),
          await code(protoline.openEncoder(changed)),
        ];
      });
      expect(codes.slice(0, 2)).toEqual(["MODEL_NOT_FOUND", "MODEL_BROKEN"]);
      expect(["MODEL_HASH_MISMATCH", "MODEL_BROKEN"]).toContain(codes[2]);
    });
  });

  describe("the page", () => {
    let page: Page;
    let complaints: string[];
    let store: GalleryStore;

    beforeAll(async () => {
      const context = await site.browser.newContext({ locale: "en-GB", acceptDownloads: true });
      page = await context.newPage();
      complaints = complaintsOf(page);
      store = await openStore("memory:");
    });
    afterAll(() => store?.close());

    const ready = () => page.waitForSelector("#main:not([hidden])");
    const files = (name: string, pictures: readonly Uint8Array[]) =>
      pictures.map((bytes, i) => ({
        name: `${name} ${i + 1}.jpg`,
        mimeType: "image/jpeg",
        buffer: Buffer.from(bytes),
      }));
    const classes = () =>
      page.$$eval("#classes li", (rows) =>
        rows.map((li) => [li.querySelector(".name")!.textContent, li.querySelector(".count")!.textContent]),
      );
    const expectedClasses = [...kinds].sort().map((kind) => [kind, `${shots} pictures`]);

    async function recognizeOnPage(kind: PartKind): Promise<{ kind: string; text: string }[]> {
      const pictures = frames.get(kind)!;
      await page.setInputFiles("#recognize-files", files(kind, pictures));
      await page.waitForFunction(
        (count) => document.querySelectorAll("#answers .kind").length === count,
        pictures.length,
      );
      return page.$$eval("#answers li", (rows) =>
        rows.map((li) => ({
          kind: li.querySelector(".kind")!.textContent!,
          text: li.querySelector(".what")!.textContent!,
        })),
      );
    }

    it("enrolls ten pictures a class, keeps them, and recognizes as Node does", async () => {
      const opened = performance.now();
      await page.goto(`${site.address}/`);
      await ready();
      const started = performance.now();
      for (const kind of kinds) {
        await page.fill("#label", kind);
        await page.setInputFiles("#enroll-files", files(kind, parts.get(kind)!));
        await page.waitForFunction(
          (text) => document.querySelector("#enroll-status")!.textContent!.startsWith(text),
          `${kind}: ${shots} added`,
        );
      }
      const enrolled = performance.now();
      expect(await classes()).toEqual(expectedClasses);

      await page.reload();
      await ready();
      expect(await classes()).toEqual(expectedClasses);

      const here = await Recognizer.open({ model: encoder });
      for (const kind of kinds) await here.enroll(kind, parts.get(kind)!);
      const recognizing = performance.now();
      let count = 0;
      for (const kind of [...kinds, stranger]) {
        const found = await recognizeOnPage(kind);
        const expected = (await here.recognizeBatch(frames.get(kind)!)) as Recognition[];
        expect(found.map((one) => one.kind)).toEqual(expected.map((one) => one.kind));
        for (const [i, one] of expected.entries())
          if (one.kind === "known") expect(found[i]!.text).toMatch(new RegExp(`${one.label}.* confidence `));
          else if (one.kind === "unknown") {
            expect(found[i]!.text).toMatch(new RegExp(`\\d\\.\\d × the limit of ${one.limit.label}`));
            expect(found[i]!.text).not.toContain("confidence");
          }
        count += found.length;
      }
      console.log(
        `browser: page ready after ${(started - opened).toFixed(0)} ms, ${shots} pictures enrolled in ${((enrolled - started) / kinds.length).toFixed(0)} ms, a picture recognized in ${((performance.now() - recognizing) / count).toFixed(0)} ms (with Node's answers)`,
      );
      await here.close();
      // Without isolation, as most servers send it, one thread has to do.
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
    });

    it("removes a class, and takes it back", async () => {
      await page.click("#classes li:first-child button");
      await page.waitForFunction(() => document.querySelectorAll("#classes li").length === 2);
      await page.click("#notice-action");
      await page.waitForFunction(() => document.querySelectorAll("#classes li").length === 3);
      expect(await classes()).toEqual(expectedClasses);
    });

    it("exports what Node and the server import, and imports what they export", async () => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.click("#export")]);
      expect(download.suggestedFilename()).toBe("default.protoline");
      const exported = join(folder, "default.protoline");
      await download.saveAs(exported);

      const info = await importGallery(store, exported, { who: "test", name: "line-1" });
      expect(info).toMatchObject({ modelHash: encoder.modelHash, head: { classes: 3, samples: 30 } });
      const first = await store.snapshot("line-1");
      expect(Buffer.from((await store.image("line-1", first.samples[0]!.id))!.bytes)).toEqual(
        Buffer.from(parts.get("washer")![0]!),
      );

      const app = buildServer({ store, encoder, version: "0" });
      const posted = await app.inject({
        method: "POST",
        url: "/v1/galleries/line-2/import",
        headers: { "content-type": "application/gzip" },
        payload: await readFile(exported),
      });
      expect(posted.statusCode).toBe(201);
      expect(posted.json().head.hash).toBe(info.head.hash);

      await app.inject({
        method: "PATCH",
        url: "/v1/galleries/line-2/classes/gear",
        headers: { "content-type": "application/json" },
        payload: { label: "齿轮 🔩" },
      });
      const served = await app.inject({ url: "/v1/galleries/line-2/export" });
      expect(served.statusCode).toBe(200);
      await app.close();
      await page.setInputFiles("#import-file", {
        name: "line-2.protoline",
        mimeType: "application/gzip",
        buffer: served.rawPayload,
      });
      await page.waitForFunction(() =>
        document
          .querySelector("#notice-text")!
          .textContent!.startsWith("Gallery line-2: 3 classes, 30 pictures"),
      );
      expect((await classes()).map(([name]) => name).sort()).toEqual(["bracket", "washer", "齿轮 🔩"]);
      expect(await page.inputValue("#gallery")).toBe("line-2");
      const [found] = await recognizeOnPage("washer");
      expect(found).toMatchObject({ kind: "known" });
    });

    it("refuses a file that was cut, and replaces a gallery only when asked to", async () => {
      const path = join(folder, "line-1.protoline");
      await exportGallery(store, "line-1", path, { images: false });
      const whole = await readFile(path);
      const give = (buffer: Buffer) =>
        page.setInputFiles("#import-file", { name: "g.protoline", mimeType: "application/gzip", buffer });
      await page.click("#notice-close");
      await give(whole.subarray(0, whole.length - 40));
      await page.waitForSelector("#notice:not([hidden])");
      expect(await page.textContent("#notice-text")).toContain("not a whole gallery");

      // The file names its gallery "default", as the page's own does.
      await page.click("#notice-close");
      await give(await readFile(join(folder, "default.protoline")));
      await page.waitForSelector("#notice-action:not([hidden])");
      expect(await page.textContent("#notice-text")).toContain("There is a gallery default already");
      await page.click("#notice-action");
      await page.waitForFunction(() =>
        document.querySelector("#notice-text")!.textContent!.startsWith("Gallery default: 3 classes"),
      );
      expect(await page.inputValue("#gallery")).toBe("default");
    });

    it("records a class from the camera by key, and answers live", async () => {
      await page.click("#camera");
      await page.waitForFunction(() => document.querySelector<HTMLVideoElement>("#video")!.videoWidth > 0);
      await page.waitForSelector("#live:not([hidden])");
      await page.fill("#label", "test pattern");
      await page.focus("#record");
      await page.keyboard.down("Space");
      await page.waitForFunction(() =>
        /^[3-9] pictures/.test(document.querySelector("#enroll-status")!.textContent!),
      );
      await page.keyboard.up("Space");
      await page.waitForFunction(() =>
        document.querySelector("#enroll-status")!.textContent!.startsWith("test pattern: "),
      );
      await page.waitForFunction(() => document.querySelectorAll("#classes li").length === 4);
      expect(await page.textContent("#live .kind")).toMatch(/^(known|unknown|ambiguous)$/);
      await page.click("#camera");
      await page.waitForSelector("#live", { state: "hidden" });
    });

    it("opens without a network once it was there", async () => {
      await page.evaluate(() => navigator.serviceWorker.ready);
      await page.context().setOffline(true);
      await page.reload();
      await ready();
      const [found] = await recognizeOnPage("gear");
      expect(found).toMatchObject({ kind: "known" });
      await page.context().setOffline(false);
    });

    it("speaks Chinese, and broke no rule of its policy on the way", async () => {
      await page.click("#language");
      expect(await page.textContent("#teach-title")).toBe("登记");
      expect(await page.getAttribute("html", "lang")).toBe("zh-CN");
      const left = await page.$$eval("[data-word]", (all) =>
        all.filter((element) => /^[A-Za-z ]{4,}$/.test(element.textContent!)).map((e) => e.textContent),
      );
      expect(left).toEqual([]);
      expect(complaints).toEqual([]);
      const shots = process.env.PROTOLINE_SCREENSHOTS;
      if (shots) {
        await page.click("#camera");
        await page.waitForSelector("#live:not([hidden])");
        await screenshots(page, shots, async () => {
          const some = [...frames].flatMap(([kind, pictures]) => files(kind, pictures.slice(0, 2)));
          await page.setInputFiles("#recognize-files", some);
          await page.waitForFunction(
            (n) => document.querySelectorAll("#answers .kind").length === n,
            some.length,
          );
        });
      }
    });
  });
});

/** For the eye: both languages, light and dark, wide and narrow, in a folder that the environment names. */
async function screenshots(page: Page, to: string, prepare: () => Promise<void>): Promise<void> {
  for (const language of ["zh", "en"]) {
    await prepare();
    for (const colorScheme of ["light", "dark"] as const)
      for (const width of [1280, 390]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 900 });
        await writeFile(
          join(to, `${language}-${colorScheme}-${width}.png`),
          await page.screenshot({ fullPage: true }),
        );
      }
    await page.click("#language");
  }
}
