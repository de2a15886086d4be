import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const src = fileURLToPath(new URL("../src", import.meta.url));

/**
 * The layer table: a room may import the rooms named behind it, and nothing else. ARCHITECTURE.md shows it as a picture.
 * A room that is not here fails the test, so that a new room is a decision.
 */
const layers: Readonly<Record<string, readonly string[]>> = {
  core: [],
  graph: ["core"],
  onnx: ["core", "graph"],
  runtime: ["core", "graph", "onnx"],
  nn: ["core", "graph"],
  optim: ["core", "graph"],
  data: ["core"],
  fewshot: ["core"],
  methods: ["core", "graph", "nn", "fewshot"],
  models: ["core", "graph", "onnx", "runtime", "data", "fewshot"],
  compress: ["core", "graph", "onnx", "runtime", "optim", "data", "models"],
  store: ["core", "fewshot"],
  audit: ["core", "store"],
  monitor: ["core"],
  train: ["core", "graph", "onnx", "runtime", "nn", "optim", "methods", "data", "fewshot", "models"],
  report: ["core", "monitor"],
  recognizer: ["core", "runtime", "data", "fewshot", "models", "store", "monitor"],
  browser: ["core", "runtime", "data", "fewshot", "models", "store", "recognizer"],
  line: ["core", "data", "monitor", "recognizer", "store"],
  alerts: ["core", "line"],
  learning: ["core", "data", "models", "store", "train", "recognizer"],
  jobs: ["core", "fewshot", "models", "store", "recognizer"],
  serving: ["core", "data", "models", "recognizer", "runtime"],
  server: [
    "core",
    "data",
    "fewshot",
    "models",
    "monitor",
    "store",
    "audit",
    "recognizer",
    "learning",
    "serving",
    "alerts",
  ],
  cli: [
    "monitor",
    "core",
    "graph",
    "onnx",
    "runtime",
    "data",
    "fewshot",
    "models",
    "store",
    "audit",
    "train",
    "compress",
    "report",
    "recognizer",
    "learning",
    "jobs",
    "line",
    "alerts",
    "serving",
    "server",
  ],
};

/**
 * What a browser must be able to load, with all that it imports: these rooms, and the door `pure.ts` of those that
 * have parts for Node too. No `node:` imports and no packages that need Node.
 */
const portable = ["core", "graph", "onnx", "fewshot", "monitor", "nn", "optim", "methods", "browser"];

interface Import {
  readonly file: string;
  readonly specifier: string;
  /** `import type`, which leaves nothing behind. */
  readonly types: boolean;
}

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter(
  (file) => file.endsWith(".ts") && !file.endsWith(".test.ts"),
);

const imports: Import[] = files.flatMap((file) =>
  [
    ...readFileSync(join(src, file), "utf8").matchAll(
      /(?:^|\n)\s*(?:import|export)\b(\s+type\b)?[^;'"]*?from\s+["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g,
    ),
  ].map((match) => ({ file, specifier: (match[2] ?? match[3])!, types: match[1] !== undefined })),
);

const roomOf = (file: string): string => (file.includes(sep) ? file.split(sep)[0]! : "index");
const targetOf = ({ file, specifier }: Pick<Import, "file" | "specifier">): string =>
  relative(src, resolve(src, dirname(file), specifier));

describe("architecture", () => {
  it("sees the imports at all", () => {
    expect(imports.some(({ specifier }) => specifier === "../core/index.ts")).toBe(true);
  });

  it("knows every room", () => {
    expect(files.map(roomOf).filter((room) => room !== "index" && !(room in layers))).toEqual([]);
  });

  it("imports go down only, and into another room only by its front door", () => {
    const wrong = imports
      .filter(({ specifier, file }) => specifier.startsWith(".") && roomOf(file) !== "index")
      .flatMap((entry) => {
        const from = roomOf(entry.file);
        const target = targetOf(entry);
        const to = roomOf(target);
        if (to === from) return [];
        if (!layers[from]?.includes(to)) return [`${entry.file} → ${target}: ${from} may not import ${to}`];
        const door = target.split(sep).slice(1).join("/");
        return ["index.ts", "pure.ts", "types.ts", "store.ts"].includes(door)
          ? []
          : [`${entry.file} → ${target}: import ${to}/index.ts instead`];
      });
    expect(wrong).toEqual([]);
  });

  it("keeps the portable rooms free of Node", () => {
    const reached = new Set(
      files.filter((file) => portable.includes(roomOf(file)) || file.endsWith(`${sep}pure.ts`)),
    );
    for (const file of reached)
      for (const entry of imports)
        if (entry.file === file && entry.specifier.startsWith(".") && !entry.types)
          reached.add(targetOf(entry));
    const wrong = imports
      .filter(({ file, types }) => reached.has(file) && !types)
      .filter(
        ({ specifier }) =>
          specifier.startsWith("node:") || /^(sharp|libsql|onnxruntime-node)/.test(specifier),
      );
    expect(wrong).toEqual([]);
  });

  it("has no cycle between files", () => {
    const edges = new Map<string, string[]>();
    for (const entry of imports)
      if (entry.specifier.startsWith(".")) {
        const list = edges.get(entry.file) ?? [];
        list.push(targetOf(entry));
        edges.set(entry.file, list);
      }
    const cycles: string[] = [];
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      const at = path.indexOf(file);
      if (at >= 0) cycles.push([...path.slice(at), file].join(" → "));
      else if (!done.has(file)) {
        for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
        done.add(file);
      }
    };
    for (const file of edges.keys()) visit(file, []);
    expect(cycles).toEqual([]);
  });
});
