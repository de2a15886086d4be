import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { drawInto, newFolder, protoline } from "./cli-help.ts";

let folder: string;
beforeAll(async () => {
  folder = await newFolder();
  for (const [i, kind] of (["washer", "gear", "bolt"] as const).entries()) {
    await drawInto(join(folder, "parts", kind), kind, 5, i + 1);
    await drawInto(join(folder, "held", kind), kind, 4, i + 11);
    await drawInto(join(folder, "more", kind), kind, 3, i + 21);
  }
  await protoline(folder, ["enroll", "parts", "--model", "compact"]);
  await protoline(folder, ["enroll", "held", "--gallery", "default.holdout", "--model", "compact"]);
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const learn = async (...flags: string[]) => {
  const { code, out, err } = await protoline(folder, ["learn", "--json", ...flags]);
  expect(err, err).not.toContain('"error"');
  return { code, ...JSON.parse(out) };
};
const gallery = async () => {
  const { out } = await protoline(folder, ["gallery", "list", "--json"]);
  return (JSON.parse(out) as { name: string; model: string; head: { number: number } }[]).find(
    ({ name }) => name === "default",
  )!;
};

describe("protoline learn", () => {
  it("waits until enough pictures came, and changes nothing unless it is told to", async () => {
    const before = await gallery();
    expect(await learn("--after", "100")).toMatchObject({ code: 0, gathered: 15, candidate: null });
    await protoline(folder, ["enroll", "more"]);
    const { candidate, ...rest } = await learn("--after", "24");
    expect(rest).toMatchObject({ gathered: 24, promoted: false });
    expect(candidate.comparison.heldOut).toMatchObject({ pictures: 12, current: { right: { of: 12 } } });
    expect(candidate.comparison.leftOut.pictures).toBe(24);
    expect((await gallery()).head.number).toBe(before.head.number + 3);
  }, 60_000);

  it("promotes another decision or model, which a rollback takes back, and refuses one that is worse", async () => {
    const { number } = (await gallery()).head;
    const strict = await learn("--no-tune", "--false-reject", "0.9", "--promote");
    // Nearly all would be unknown.
    expect(strict).toMatchObject({ code: 7, worse: true, promoted: false, revision: number });
    const other = await learn("--to", "scattering", "--no-tune");
    expect(other).toMatchObject({ promoted: false, candidate: { model: "scattering" } });
    const lax = await learn("--no-tune", "--false-reject", "0.04", "--promote");
    expect(lax).toMatchObject({ code: 0, promoted: true, revision: number + 1 });
    expect(await learn("--after", "1")).toMatchObject({ gathered: 0, candidate: null });
    await protoline(folder, ["gallery", "rollback", String(number)]);
    const { out } = await protoline(folder, ["learn"]);
    expect(out).toMatch(/held out\s+candidate/);
  }, 60_000);
});
