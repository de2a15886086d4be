import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { buildConsole } from "../../scripts/build-console.ts";
import { type Encoder, openEncoder } from "../../src/models/index.ts";
import { buildServer, listen, type ServerOptions } from "../../src/server/index.ts";
import { type GalleryStore, openStore } from "../../src/store/index.ts";
import { chromiumPath } from "./site.ts";

/** Pictures of the pages are left there: `runs/` is not under version control. */
const shots =
  process.env.PROTOLINE_SCREENSHOTS || fileURLToPath(new URL("../../runs/console", import.meta.url));

export interface Visit {
  readonly page: Page;
  /** What went wrong in the page: failed scripts, a broken policy, requests to another address. */
  readonly complaints: readonly string[];
  shot(name: string): Promise<void>;
  close(): Promise<void>;
}

export interface ConsoleSite {
  /** Folder of the built console. */
  readonly folder: string;
  /** The servers' model under another name, its numbers in the opposite order: another model that is as good. */
  second(): Promise<Encoder>;
  /** A server with an empty store of its own. */
  serve(
    options?: Pick<ServerOptions, "watch" | "models">,
  ): Promise<{ readonly address: string; readonly store: GalleryStore }>;
  visit(address: string, options?: BrowserContextOptions): Promise<Visit>;
  close(): Promise<void>;
}

/** The built console on real servers, and a Chromium with a camera that shows a moving pattern. */
export async function openConsoleSite(): Promise<ConsoleSite> {
  const folder = await mkdtemp(join(tmpdir(), "protoline-console-"));
  await buildConsole(folder);
  await mkdir(shots, { recursive: true });
  const encoder: Encoder = await openEncoder("compact");
  const browser: Browser = await chromium.launch({
    executablePath: chromiumPath,
    args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  });
  const closing: (() => Promise<void>)[] = [];
  return {
    folder,
    async second() {
      const { embeddingDim: dim } = encoder;
      return {
        ...{
          manifest: { ...encoder.manifest, name: "second" },
          modelHash: "e".repeat(64),
          embeddingDim: dim,
        },
        async embed(inputs) {
          const rows = await encoder.embed(inputs);
          const data = rows.data.map((_, i) => rows.data[i - (i % dim) + dim - 1 - (i % dim)]!);
          return { ...rows, data };
        },
        close: async () => undefined,
      };
    },
    async serve(options) {
      const store = await openStore("memory:");
      const app = buildServer({ store, encoder, version: "0.0.0-test", console: folder, ...options });
      closing.push(async () => {
        await app.close();
        await store.close();
      });
      return { address: await listen(app, { host: "127.0.0.1", port: 0 }), store };
    },
    async visit(address, options) {
      const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("console", (message) => {
        if (message.type() === "error") complaints.push(message.text());
      });
      page.on("request", (request) => {
        const url = new URL(request.url());
        if (url.protocol !== "blob:" && url.origin !== address) complaints.push(`another address: ${url}`);
      });
      await page.goto(address);
      return {
        page,
        complaints,
        shot: async (name) => void (await page.screenshot({ path: join(shots, `${name}.png`) })),
        close: () => context.close(),
      };
    },
    async close() {
      await browser.close();
      for (const one of closing) await one();
      await encoder.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
