import { createHash } from "node:crypto";
import { copyFile, cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { findBundle, writeBundle } from "../src/models/index.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The encoder of the page: what a fresh machine has. */
const model = "compact";

/**
 * Builds the page that enrolls and recognizes in a browser alone: static files for any web server, in
 * `dist/browser-page/` or the folder that is given. ONNX Runtime's WebAssembly comes beside it in two builds, of which
 * a browser loads one: for WASM, and for WebGPU.
 */
export async function buildPage(out: string): Promise<void> {
  await rm(out, { recursive: true, force: true });
  await mkdir(join(out, "ort"), { recursive: true });
  await build({
    entryPoints: [join(root, "web/browser/page.ts")],
    bundle: true,
    format: "esm",
    splitting: true,
    outdir: out,
    chunkNames: "chunk-[hash]",
    target: ["chrome119", "firefox128", "safari17.5"],
    minify: true,
    legalComments: "linked",
    // The runtime's own files are copied below and found by name.
    conditions: ["onnxruntime-web-use-extern-wasm"],
    logLevel: "warning",
  });
  for (const name of ["index.html", "style.css"])
    await copyFile(join(root, "web/browser", name), join(out, name));

  const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));
  for (const kind of ["", ".jspi"])
    for (const end of ["mjs", "wasm"]) {
      const file = `ort-wasm-simd-threaded${kind}.${end}`;
      await cp(join(runtime, file), join(out, "ort", file));
    }
  await writeBundle(await findBundle(model), join(out, "model.onnx"));

  const files = (await readdir(out, { recursive: true })).filter((file) => /\.\w+$/.test(file)).sort();
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file}\n`).update(await readFile(join(out, file)));
  const needed = files
    .filter((file) => !/\.txt$|\.jspi\./.test(file))
    .map((file) => `./${file.replaceAll("\\", "/")}`);
  await build({
    entryPoints: [join(root, "web/browser/offline.ts")],
    bundle: true,
    format: "iife",
    outdir: out,
    minify: true,
    define: {
      pageVersion: JSON.stringify(hash.digest("hex").slice(0, 16)),
      pageFiles: JSON.stringify(["./", ...needed]),
    },
    logLevel: "warning",
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await buildPage(process.argv[2] ?? join(root, "dist/browser-page"));
