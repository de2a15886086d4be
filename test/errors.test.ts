import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { errorTable, ProtolineError, quote } from "../src/core/index.ts";

const pages = fileURLToPath(new URL("../docs/errors", import.meta.url));
const src = fileURLToPath(new URL("../src", import.meta.url));

describe("the error table", () => {
  const codes = Object.keys(errorTable).sort();

  it("has a page for each code, and no page without a code", () => {
    const found = readdirSync(pages)
      .filter((file) => file !== "README.md")
      .map((file) => file.replace(/\.md$/, ""));
    expect(found.sort()).toEqual(codes);
  });

  it.each(Object.entries(errorTable))("%s: the page names title, cause and remedy", (code, { title }) => {
    const page = readFileSync(`${pages}/${code}.md`, "utf8");
    expect(page.startsWith(`# ${code}\n`)).toBe(true);
    expect(page).toContain(title);
    expect(page).toMatch(/^## Cause$/m);
    expect(page).toMatch(/^## Remedy$/m);
  });

  it("has no code that nothing throws", () => {
    const text = readdirSync(src, { recursive: true, encoding: "utf8" })
      .filter(
        (file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && !file.endsWith("core/errors.ts"),
      )
      .map((file) => readFileSync(`${src}/${file}`, "utf8"))
      .join("\n");
    expect(codes.filter((code) => !text.includes(`"${code}"`))).toEqual([]);
  });

  it("makes one sentence for a person and an object for a program", () => {
    const error = new ProtolineError("CLASS_EMPTY", {
      expected: "at least one picture of each class",
      got: `none of ${quote("bolt\n")}`,
      todo: "Add pictures or remove the folder.",
    });
    expect(error.message).toBe(
      'A class has no images: expected at least one picture of each class, got none of "bolt?". Add pictures or remove the folder.',
    );
    expect(error.toJSON()).toMatchObject({ code: "CLASS_EMPTY", todo: "Add pictures or remove the folder." });
    expect(error.status).toBe(400);
  });
});
