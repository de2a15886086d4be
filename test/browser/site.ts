import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { buildPage } from "../../scripts/build-page.ts";

/** Debian's Chromium, or the one that PROTOLINE_CHROMIUM names; `undefined` where there is none. */
export const chromiumPath = [process.env.PROTOLINE_CHROMIUM, "/usr/bin/chromium"].find(
  (path) => path !== undefined && path !== "" && existsSync(path),
);

/** WebGPU on a device in software takes half a minute to build its shaders: for who asks. */
export const webGpu = Boolean(process.env.PROTOLINE_WEBGPU);

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
};

/** Gives the harness threads; the page itself does without. */
const isolated = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

export interface Site {
  readonly address: string;
  readonly browser: Browser;
  close(): Promise<void>;
}

/** The built page and the harness on a static server, and a Chromium with a camera that shows a moving pattern. */
export async function openSite(): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "protoline-page-"));
  await buildPage(folder);
  await build({
    entryPoints: [fileURLToPath(new URL("harness.ts", import.meta.url))],
    bundle: true,
    format: "esm",
    splitting: true,
    outdir: join(folder, "test"),
    conditions: ["onnxruntime-web-use-extern-wasm"],
    logLevel: "warning",
  });
  await writeFile(
    join(folder, "test/index.html"),
    '<!doctype html><link rel="icon" href="data:,"><script type="module" src="harness.js"></script>',
  );
  const server = createServer(async (request, response) => {
    const path = new URL(request.url!, "http://page").pathname.replace(/\/$/, "/index.html");
    try {
      const body = await readFile(join(folder, path));
      response.writeHead(200, {
        "content-type": types[extname(path)] ?? "application/octet-stream",
        ...(/^\/(test|ort)\//.test(path) && isolated),
      });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const browser = await chromium.launch({
    executablePath: chromiumPath,
    args: [
      "--no-sandbox",
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      ...(webGpu
        ? [
            "--enable-unsafe-webgpu",
            "--use-webgpu-adapter=swiftshader",
            "--enable-features=Vulkan",
            "--use-vulkan=swiftshader",
          ]
        : []),
    ],
  });
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    browser,
    async close() {
      await browser.close();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
