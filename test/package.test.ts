import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRng } from "../src/core/index.ts";
import { encoderOf, readBundle } from "../src/models/index.ts";
import { blue, green, partPicture, red } from "./support/pictures.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * The packed tarball as an empty project gets it: unpacked under node_modules, its dependencies linked from here
 * instead of downloaded again.
 */
describe("the package", () => {
  let project: string;

  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), "protoline-package-"));
    const { stdout } = await run(
      "npm",
      ["pack", "--json", "--silent", "--ignore-scripts", "--pack-destination", project],
      { cwd: root },
    );
    const [packed] = JSON.parse(stdout) as { filename: string; size: number; files: { path: string }[] }[];
    const home = join(project, "node_modules/protoline");
    await mkdir(home, { recursive: true });
    await run("tar", ["-xzf", join(project, packed!.filename), "-C", home, "--strip-components=1"]);
    const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
      dependencies: Record<string, string>;
    };
    for (const name of [...Object.keys(manifest.dependencies), "@types/node"]) {
      const to = join(project, "node_modules", name);
      await mkdir(join(to, ".."), { recursive: true });
      await symlink(join(root, "node_modules", name), to);
    }
    await writeFile(join(project, "package.json"), JSON.stringify({ name: "line", type: "module" }));
    for (const [label, colour] of [
      ["red bar", red],
      ["green bar", green],
    ] as const) {
      await mkdir(join(project, "parts", label), { recursive: true });
      for (let seed = 1; seed <= 10; seed++)
        await writeFile(join(project, "parts", label, `${seed}.jpg`), await partPicture(colour, seed));
    }
    await mkdir(join(project, "frames"));
    await writeFile(join(project, "frames/a.jpg"), await partPicture(red, 100));
    await writeFile(join(project, "frames/b.jpg"), await partPicture(blue, 101));
  });
  afterAll(() => rm(project, { recursive: true, force: true }));

  it("holds what runs, and no tests, sources or data", async () => {
    const { stdout } = await run("npm", ["pack", "--json", "--dry-run", "--silent", "--ignore-scripts"], {
      cwd: root,
    });
    const [packed] = JSON.parse(stdout) as { files: { path: string }[] }[];
    const paths = packed!.files.map(({ path }) => path);
    expect(paths).toContain("dist/index.d.ts");
    expect(paths).toContain("dist/cli/main.js");
    expect(paths).toContain("LICENSE");
    // The encoder of new galleries; the page, where it was built, has its own copy.
    expect(paths).toContain("trained/encoder/encoder.onnx");
    const wrong =
      /\.test\.|^src\/|^test\/|^(?!dist\/browser-page\/|trained\/encoder\/).*\.onnx$|^(?!dist\/console\/sample\/).*\.jpe?g$/;
    expect(paths.filter((path) => wrong.test(path))).toEqual([]);
  });

  it("has examples whose types an empty project can check, and which both READMEs quote", async () => {
    const names: string[] = [];
    for (const name of await readdir(join(root, "examples"))) {
      const example = await readFile(join(root, "examples", name), "utf8");
      // Others speak to a server, or are no program; the tests of what they are for run them.
      if (!/from "protoline\b/.test(example)) continue;
      names.push(name);
      await writeFile(join(project, name), example);
      for (const readme of ["README.md", "README.zh-CN.md"])
        expect(await readFile(join(root, readme), "utf8")).toContain(
          example.slice(example.indexOf("import")).trim(),
        );
    }
    expect(names.length).toBeGreaterThan(2);
    await writeFile(
      join(project, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          module: "nodenext",
          target: "es2023",
          types: ["node"],
        },
        files: names,
      }),
    );
    await run(join(root, "node_modules/.bin/tsc"), ["-p", "."], { cwd: project }).catch(({ stdout }) => {
      throw new Error(stdout);
    });
  }, 180_000);

  const runExample = async (name: string, ...args: string[]): Promise<string> => {
    // Without a mirror or cache: what a fresh machine has.
    const env = { ...process.env, PROTOLINE_MIRROR: "", PROTOLINE_CACHE: join(project, "cache") };
    return (await run("node", [`${name}.js`, ...args], { cwd: project, env })).stdout;
  };

  it("enrolls and recognizes as the first example does", async () => {
    const stdout = await runExample("enroll-and-recognize", "parts", "frames");
    expect(stdout).toMatch(/a\.jpg known red bar/);
    expect(stdout).toMatch(/b\.jpg (unknown|ambiguous|known)/);
  });

  it("trains, saves and evaluates as the second example does, on a folder of pictures", async () => {
    const rng = createRng(5);
    const names = Array.from({ length: 25 }, (_, i) => `part ${i}`);
    for (const label of names) {
      const colour = [rng.int(256), rng.int(256), rng.int(256)] as const;
      await mkdir(join(project, "pictures", label), { recursive: true });
      for (let seed = 1; seed <= 20; seed++)
        await writeFile(join(project, "pictures", label, `${seed}.jpg`), await partPicture(colour, seed, 24));
    }
    await mkdir(join(project, "pictures/splits"));
    await writeFile(join(project, "pictures/splits/train.txt"), names.slice(0, 20).join("\n"));
    await writeFile(join(project, "pictures/splits/test.txt"), names.slice(20).join("\n"));
    const stdout = await runExample("train-and-evaluate", "folder", "pictures", "2");
    expect(stdout).toMatch(/^5-way 1-shot: \d+\.\d ± \d+\.\d %\n5-way 5-shot: /);
    const encoder = await encoderOf(await readBundle(join(project, "bundle")));
    expect(encoder.manifest).toMatchObject({ name: "folder-example", embeddingDim: 1600 });
    await encoder.close();
  }, 180_000);

  it("has every subpath that it exports", async () => {
    const { exports } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
      exports: Record<string, unknown>;
    };
    const paths = Object.keys(exports).filter((path) => !path.endsWith(".json"));
    const script = `for (const path of ${JSON.stringify(paths)}) {
      const room = await import("protoline" + path.slice(1));
      if (Object.keys(room).length === 0) throw new Error(path);
    }`;
    await run("node", ["--input-type=module", "-e", script], { cwd: project });
  });
});
