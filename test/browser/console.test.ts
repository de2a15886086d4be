import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApiKey, scopesOf } from "../../src/server/index.ts";
import type { MapReply } from "../../src/server/protocol-console.ts";
import { type ConsoleSite, openConsoleSite, type Visit } from "./console-site.ts";
import { chromiumPath } from "./site.ts";

if (!chromiumPath)
  console.log(
    "console: no Chromium here (apt-get install chromium, or PROTOLINE_CHROMIUM=PATH): its tests are skipped",
  );

/** The first load, compressed, stays below. */
const budget = 350_000;

describe.skipIf(!chromiumPath)("the console in Chromium", () => {
  let site: ConsoleSite;
  let axe: string;
  let shelf: string;
  beforeAll(async () => {
    shelf = await mkdtemp(join(tmpdir(), "protoline-shelf-"));
    [site, axe] = await Promise.all([
      openConsoleSite(),
      readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"),
    ]);
  });
  afterAll(async () => {
    await site?.close();
    await rm(shelf, { recursive: true, force: true });
  });

  /** Serious and critical findings of axe, in light and in dark. */
  async function findings(page: Page): Promise<string[]> {
    const found: string[] = [];
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
      const { violations } = await page.evaluate<AxeResults>("axe.run(document)");
      for (const { id, impact, nodes } of violations)
        if (impact === "serious" || impact === "critical")
          found.push(
            ...nodes.map(({ html, any }) => `${colorScheme} ${id}: ${html} ${any[0]?.message ?? ""}`),
          );
    }
    await page.emulateMedia({ colorScheme: "light" });
    return found;
  }
  const goTo = (page: Page, name: string): Promise<void> =>
    page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
  const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name }).first();

  it("goes from an empty gallery to answers, unknown parts, a new class, back, and to the alarm of a line that drifts", async () => {
    const { address } = await site.serve({
      watch: { referenceFrames: 12, windowFrames: 12, level: 0.2, windows: 1 },
    });
    const visit: Visit = await site.visit(address, { locale: "en-US" });
    const { page, complaints, shot } = visit;
    await page.getByRole("heading", { name: "Teach it the first part" }).waitFor();
    await shot("01-empty");
    expect(await findings(page)).toEqual([]);

    const began = performance.now();
    await button(page, "Try it with sample parts").click();
    await page.getByText("Nearest classes").first().waitFor();
    console.log(`console: the first answer came ${Math.round(performance.now() - began)} ms after the click`);
    const recent = page.getByRole("region", { name: "Recent answers" });
    await recent.getByText("Unknown").first().waitFor();
    await shot("02-live");
    // How sure it is between classes says nothing of a part that is none of them.
    const unknown = page.getByRole("region", { name: "Unknown", exact: true });
    await unknown.waitFor();
    const said = (await unknown.textContent())!;
    expect(said).toMatch(/Farther than \d\.\d+, the limit of (gear|washer|bracket): \d+\.\d × its limit\./);
    expect(said).not.toMatch(/Confidence|\d%/);
    await page.keyboard.press("Space");
    await button(page, "Go on").waitFor();
    expect(await findings(page)).toEqual([]);

    await goTo(page, "Unknown tray");
    const name = page.getByRole("combobox", { name: "Class" });
    await name.first().fill("motor housing");
    await shot("03-tray");
    expect(await findings(page)).toEqual([]);
    await button(page, "Incorrect").click();
    await page.getByText("Incorrect, local").first().waitFor();
    await button(page, /^Assign \d/).click();
    await page.getByText(/assigned to motor housing/).waitFor();

    await goTo(page, "Live");
    await button(page, "Start").click();
    await page.getByText("motor housing", { exact: true }).first().waitFor();
    await page.keyboard.press("Space");

    await goTo(page, "Gallery");
    await page.getByRole("button", { name: /motor housing/ }).waitFor();
    await shot("04-gallery");
    expect(await findings(page)).toEqual([]);
    await page.emulateMedia({ colorScheme: "dark" });
    await shot("04-gallery-dark");

    await goTo(page, "Quality");
    const expected = page.getByRole("region", { name: "What to expect" }).first();
    await expected
      .getByText(
        /^Of parts never shown about \d+% would be caught \(each class in turn as the stranger\), of known parts about \d+% called unknown\.$/,
      )
      .waitFor();
    const rates = expected.locator("tbody").first().getByRole("row");
    expect(await rates.getByRole("rowheader").allTextContents()).toEqual(["1%", "5%", "10%", "20%"]);
    expect(await rates.nth(1).textContent()).toMatch(/In use$/);
    expect(await expected.getByText("Who lets strangers in").count()).toBe(1);
    await shot("05-expected");
    await rates.nth(2).getByRole("button", { name: "Take over 10%" }).click();
    await page.getByText("The false-reject rate is now 10%.").waitFor();
    await rates.nth(2).getByText("In use").waitFor();
    await button(page, "Undo").click();
    await rates.nth(1).getByText("In use").waitFor();
    await page.getByRole("img", { name: "Map of the pictures" }).waitFor();
    await button(page, "Neighbourhoods (UMAP)").click();
    await page.getByText("Computing the neighbourhoods…").waitFor({ state: "hidden" });
    await page.getByRole("slider", { name: "Limits" }).fill("0.2");
    await page.getByText("× 1.22").waitFor();
    expect(await page.getByText(/Take over: \d/).count()).toBe(1);
    const map = page.getByRole("img", { name: "Map of the pictures" });
    await map.scrollIntoViewIfNeeded();
    const { x, y, width, height } = (await map.boundingBox())!;
    await page.mouse.move(x + 6, y + 6);
    await page.mouse.down();
    for (const [right, down] of [
      [width - 2, 0],
      [width - 2, height - 2],
      [0, height - 2],
    ] as const)
      await page.mouse.move(x + right, y + down, { steps: 3 });
    await page.mouse.up();
    await page.getByText(/^\d\d selected$/).waitFor();
    const runs = join(shelf, "runs");
    for (const again of [1, 2])
      for (const kind of ["gear", "washer", "bracket"]) {
        await mkdir(join(runs, `run ${again}`), { recursive: true });
        const frame = join(site.folder, "sample", `frame-${kind}-${again}.jpg`);
        await copyFile(frame, join(runs, `run ${again}`, `${kind}.jpg`));
      }
    await page.locator("main input[type=file][webkitdirectory]").setInputFiles(runs);
    await page.getByText("Parts that all 2 runs answer alike").waitFor();
    await shot("05-quality");
    expect(await findings(page)).toEqual([]);

    await goTo(page, "History");
    // After the rate that was taken and taken back.
    await page.getByText("What changed").nth(2).click();
    await page.getByText(/added to motor housing/).waitFor();
    await shot("05-history");
    expect(await findings(page)).toEqual([]);
    await button(page, "Go back to it (Revision 3)").click();
    await page.getByText("as it was in revision 3").waitFor();
    await goTo(page, "Gallery");
    await page.getByRole("button", { name: /washer/ }).waitFor();
    expect(await page.getByRole("button", { name: /motor housing/ }).count()).toBe(0);
    await shot("05-rolled-back");

    // The line goes on by HTTP: first as it is when it is well, then with parts that nobody taught.
    await goTo(page, "Drift");
    const send = async (kinds: readonly string[], count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const name = `frame-${kinds[i % kinds.length]!}-${1 + (i % 8)}.jpg`;
        const { status } = await fetch(`${address}/v1/galleries/default/recognize`, {
          method: "POST",
          headers: { "content-type": "image/jpeg" },
          body: await readFile(join(site.folder, "sample", name)),
        });
        expect(status).toBe(200);
      }
    };
    await send(["gear", "washer", "bracket"], 12);
    await page.getByText("No change").first().waitFor();
    await shot("06-drift-calm");
    await send(["motor-housing"], 12);
    await page.getByText("The line has changed").first().waitFor();
    await page.getByText("Share of unknown (Fisher)").first().waitFor();
    const changed = page.getByRole("region", { name: "What changed" });
    await changed.getByText("After: 100% of the frames").waitFor();
    // Pictures of three classes before, and of unknown frames after.
    await expect.poll(() => changed.locator("img").count()).toBe(16);
    await shot("07-drift-alarm");
    expect(await findings(page)).toEqual([]);
    await button(page, /begin a new reference/).click();
    await button(page, "Begin it").click();
    await page.getByText("Getting to know the line").waitFor();
    expect(complaints).toEqual([]);
    await visit.close();
  });

  it("says what is wrong with pictures before they are added, and takes an addition back", async () => {
    const { address } = await site.serve();
    const visit = await site.visit(address, { locale: "en-US" });
    const { page, complaints, shot } = visit;
    const files = (...names: string[]): string[] =>
      names.map((name) => join(site.folder, "sample", `${name}.jpg`));
    const choose = page.locator("dialog input[type=file]").first();
    await button(page, "Add my own pictures").click();
    await choose.setInputFiles(
      files("part-gear-1", "part-gear-2", "part-gear-3", "part-gear-4", "part-gear-5"),
    );
    await page.getByRole("combobox", { name: /^Class/ }).fill("gear");
    await button(page, "Add 5 pictures to gear").click();
    await page.getByText("5 pictures added to gear.").waitFor();

    // A folder of folders: a class of each.
    const parts = join(shelf, "parts");
    for (const kind of ["bracket", "washer"])
      for (const n of [1, 2]) {
        await mkdir(join(parts, kind), { recursive: true });
        await copyFile(files(`part-${kind}-${n}`)[0]!, join(parts, kind, `${n}.jpg`));
      }
    await button(page, "Add pictures").click();
    await page.locator("dialog input[type=file][webkitdirectory]").setInputFiles(parts);
    await button(page, "Add 4 pictures in 2 classes").click();
    await page.getByText("4 pictures added to bracket, washer.").waitFor();
    await button(page, "Undo").click();
    await page.getByText("Undone.").waitFor();

    await button(page, "Add pictures").click();
    await choose.setInputFiles(
      files(
        "part-washer-1",
        "part-washer-2",
        "part-washer-3",
        "part-washer-4",
        "part-washer-5",
        "part-gear-1",
      ),
    );
    await page.getByRole("combobox", { name: /^Class/ }).fill("washer");
    const odd = page.getByRole("dialog").getByRole("listitem").filter({ hasText: "Already in gear" });
    await odd.getByText("Odd one out").waitFor();
    await page.getByText(/the others answer \d of \d right/).waitFor();
    await shot("10-before-adding");
    expect(await findings(page)).toEqual([]);
    await odd.getByRole("button", { name: /^Leave out/ }).click();

    await button(page, /^Crop/).click();
    await page.getByRole("slider", { name: "Left" }).press("ArrowRight");
    await page.getByRole("button", { name: "Crop", exact: true }).click();
    await button(page, "Use the camera").click();
    const hold = page.getByRole("button", { name: "Hold to record" });
    await expect.poll(() => hold.isEnabled()).toBe(true);
    await hold.focus();
    await page.keyboard.down("Space");
    await page.waitForTimeout(400);
    await page.keyboard.up("Space");
    await button(page, /^Add [78] pictures to washer/).click();
    await page.getByText(/added to washer/).waitFor();
    await button(page, "Undo").click();
    await page.getByText("Undone.").waitFor();
    await expect.poll(() => page.getByRole("button", { name: /washer/ }).count()).toBe(0);

    await page.getByRole("button", { name: /^gear/ }).click();
    await page.getByRole("checkbox").first().check();
    await button(page, "Split off or move…").click();
    await page.getByRole("dialog").getByLabel("Class").fill("gear wheel");
    await button(page, "Split off or move…").click();
    await page.getByText("1 picture moved to gear wheel.").waitFor();
    await page.getByRole("button", { name: /^gear wheel/ }).waitFor();
    expect(complaints).toEqual([]);
    await visit.close();
  });

  it("answers a camera and a video, the newest frame only, and goes on when the server was away", async () => {
    const { address } = await site.serve();
    const visit = await site.visit(address, { locale: "en-US" });
    const { page, complaints, shot } = visit;
    await button(page, "Try it with sample parts").click();
    await page.getByRole("combobox", { name: "Source" }).selectOption("camera");
    await button(page, "Start").click();
    await page.getByText(/answers a second/).waitFor();
    await shot("11-camera");
    // A server that is away for a moment: the line goes on by itself.
    const away = (route: { abort(): Promise<void> }): Promise<void> => route.abort();
    await page.route("**/recognize", away);
    await page.getByText("The server does not answer.", { exact: false }).waitFor();
    await page.unroute("**/recognize", away);
    await page.getByText(/answers a second/).waitFor();

    // A video file, made here: the pages' own canvas, recorded.
    const video = await page.evaluate(async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
      const context = canvas.getContext("2d")!;
      const recorder = new MediaRecorder(canvas.captureStream(20), { mimeType: "video/webm" });
      const parts: Blob[] = [];
      recorder.ondataavailable = ({ data }) => parts.push(data);
      const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve));
      recorder.start();
      for (let i = 0; i < 30; i++) {
        context.fillStyle = `hsl(${12 * i} 60% 50%)`;
        context.fillRect(0, 0, 160, 120);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      recorder.stop();
      await stopped;
      return [...new Uint8Array(await new Blob(parts).arrayBuffer())];
    });
    await page.getByRole("combobox", { name: "Source" }).selectOption("video");
    await page
      .locator("main input[type=file]")
      .setInputFiles({ name: "line.webm", mimeType: "video/webm", buffer: Buffer.from(video) });
    await button(page, "Start").click();
    await page.getByText("That was the last picture.").waitFor();
    const said = complaints.filter((text) => !text.includes("net::ERR_FAILED"));
    expect(said).toEqual([]);
    await visit.close();
  });

  it("asks for a key where there are keys, and shows a viewer nothing that he may not do", async () => {
    const { address, store } = await site.serve();
    const { key, record } = createApiKey({ name: "screen in hall 2", scopes: scopesOf.viewer });
    await store.putApiKey(record);
    const visit = await site.visit(address, { locale: "zh-CN", colorScheme: "dark" });
    const { page } = visit;
    const field = page.getByLabel("API 密钥或令牌");
    await field.fill("protoline_wrong");
    await button(page, "登录").click();
    await page.getByText("服务器不认识这个密钥。").waitFor();
    expect(await findings(page)).toEqual([]);
    await field.fill(key);
    await button(page, "登录").click();
    await page.getByText("已登录：screen in hall 2").first().waitFor();
    // He may look on, and not ask.
    await goTo(page, "实时识别");
    const sources = page.getByRole("combobox", { name: "来源" });
    await sources.waitFor();
    expect(await sources.locator("option").allTextContents()).toEqual(["产线"]);
    await goTo(page, "图库");
    await page.getByText("请让工程师添加第一个零件", { exact: false }).waitFor();
    expect(await page.getByRole("button", { name: "添加" }).count()).toBe(0);
    await visit.shot("12-viewer");
    await page.reload();
    await page.getByText("已登录：screen in hall 2").first().waitFor();
    await page.getByRole("combobox", { name: "语言" }).selectOption("en");
    await button(page, "Sign out").click();
    await page.getByLabel("API key or token").waitFor();
    expect(await page.evaluate(() => sessionStorage.getItem("protoline.key"))).toBeNull();
    await visit.close();
  });

  async function recognizeFrame(address: string, name: string): Promise<void> {
    const { status } = await fetch(`${address}/v1/galleries/default/recognize`, {
      method: "POST",
      headers: { "content-type": "image/jpeg" },
      body: await readFile(join(site.folder, "sample", `${name}.jpg`)),
    });
    expect(status).toBe(200);
  }

  /** Three classes of five pictures, a gear under the name of a washer, and frames that were answered. */
  async function fill(address: string, frames: number): Promise<void> {
    const send = async (path: string, name: string): Promise<void> => {
      const { ok } = await fetch(`${address}/v1/galleries/default/${path}`, {
        method: "POST",
        headers: { "content-type": "image/jpeg" },
        body: await readFile(join(site.folder, "sample", `${name}.jpg`)),
      });
      expect(ok).toBe(true);
    };
    const made = await fetch(`${address}/v1/galleries`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "default" }),
    });
    expect(made.ok).toBe(true);
    for (const kind of ["gear", "washer", "bracket"])
      for (let n = 1; n <= 5; n++) await send(`classes/${kind}/samples`, `part-${kind}-${n}`);
    await send("classes/washer/samples", "frame-gear-1");
    for (let i = 0; i < frames; i++)
      await send("recognize", `frame-${i < frames / 2 ? "gear" : "motor-housing"}-${1 + (i % 8)}`);
  }

  it("lists suspected wrong names, says what would help, and splits a class by what is drawn around", async () => {
    const { address } = await site.serve();
    await fill(address, 0);
    const visit = await site.visit(`${address}`, { locale: "en-US" });
    const { page, complaints, shot } = visit;
    await goTo(page, "Quality");
    await page.getByText("washer: looks like gear").waitFor();
    await shot("13-wrong-name");
    await page
      .getByRole("button", { name: /^Choose/ })
      .and(page.locator("li button"))
      .first()
      .click();
    await page.getByText("1 selected").waitFor();
    await button(page, "Split off or move…").click();
    await page.getByRole("dialog").getByLabel("Class").fill("gear");
    await page.keyboard.press("Enter");
    await page.getByText("1 picture moved to gear.").waitFor();
    await page.getByText("No picture comes nearest to another class than its own.").waitFor();

    const map = page.getByRole("img", { name: "Map of the pictures" });
    await map.scrollIntoViewIfNeeded();
    const { x, y, width, height } = (await map.boundingBox())!;
    await page.mouse.move(x + 2, y + 2);
    await page.mouse.down();
    for (const [right, down] of [
      [width - 2, 2],
      [width - 2, height - 2],
      [2, height - 2],
    ] as const)
      await page.mouse.move(x + right, y + down, { steps: 3 });
    await page.mouse.up();
    await page.getByText("16 selected").waitFor();
    await button(page, "Split off or move…").click();
    await page.getByRole("dialog").getByLabel("Class").fill("all parts");
    await page.keyboard.press("Enter");
    await page.getByText("16 pictures moved to all parts.").waitFor();
    await button(page, "Undo").click();
    await page.getByText("Undone.").waitFor();
    const bracket = page.getByRole("row", { name: /bracket/ }).first();
    await bracket.waitFor();
    expect(await page.getByText("would help").count()).toBe(0);

    // As if one of its pictures fitted nothing when it is left out: the drawn parts are too much alike for that.
    await page.route("**/map", async (route) => {
      const reply = await route.fetch();
      const map = (await reply.json()) as MapReply;
      const sample = map.samples.find(({ label }) => label === "bracket")!;
      sample.leftOut = { ...sample.leftOut!, kind: "unknown" };
      await route.fulfill({ response: reply, json: map });
    });
    await page.reload();
    await bracket.getByText(/^3 more .* would help: just those were not recognized\.$/).waitFor();
    await shot("13-would-help");
    expect(complaints).toEqual([]);
    await visit.close();
  });

  it("shows what the server answers to others, and teaches a frame of theirs", async () => {
    const { address } = await site.serve();
    await fill(address, 0);
    const visit = await site.visit(address, { locale: "en-US" });
    const { page, complaints, shot } = visit;
    await goTo(page, "Live");
    await page.getByRole("combobox", { name: "Source" }).selectOption("The line");
    await button(page, "Start").click();
    await page.getByText("Waiting for the next frame of the line…").waitFor();
    // As a camera would, until it is seen: the page may still be on its way to the server.
    const seen = page.getByText(/^From local, /);
    await expect
      .poll(
        async () => {
          await recognizeFrame(address, "frame-motor-housing-1");
          return seen.count();
        },
        { timeout: 20_000 },
      )
      .toBe(1);
    await page.getByText("Unknown", { exact: true }).first().waitFor();
    expect(await page.getByText("with the network").count()).toBe(0);
    await shot("15-line");
    // Also when the page looks away first: the frame in sight can still be taught, as it came.
    await page.keyboard.press("Space");
    await button(page, "Go on").waitFor();
    await page.keyboard.press("t");
    await page.getByRole("dialog").getByLabel("Class").fill("motor housing");
    await page.keyboard.press("Enter");
    await page.getByText("Added to motor housing.", { exact: false }).waitFor();
    const reply = await fetch(`${address}/v1/galleries/default/samples?label=motor%20housing`);
    const { samples } = (await reply.json()) as { samples: { contentHash: string }[] };
    const sent = await readFile(join(site.folder, "sample", "frame-motor-housing-1.jpg"));
    expect(samples.map(({ contentHash }) => contentHash)).toEqual([
      createHash("sha256").update(sent).digest("hex"),
    ]);
    await button(page, "Pause").waitFor();
    await expect
      .poll(
        async () => {
          await recognizeFrame(address, "frame-motor-housing-1");
          return page.getByRole("region", { name: "Known", exact: true }).getByText("motor housing").count();
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(0);
    expect(complaints).toEqual([]);
    await visit.close();
  });

  it("makes a candidate, shows it beside the gallery and on live frames, promotes it and takes it back", async () => {
    const { address } = await site.serve({ models: new Map([["second", () => site.second()]]) });
    await fill(address, 0);
    const visit = await site.visit(address, { locale: "en-US" });
    const { page, complaints, shot } = visit;
    await goTo(page, "Candidate");
    await page.getByText("There is no candidate beside this gallery.").waitFor();
    await shot("16-candidate-none");

    // One that calls nearly everything unknown.
    const tune = page.getByRole("checkbox", { name: "Choose anew how pictures are compared" });
    await tune.uncheck();
    expect(await button(page, "Make a candidate").isDisabled()).toBe(true);
    await page.getByLabel("Known parts that may be called unknown").fill("95");
    await button(page, "Make a candidate").click();
    await page.getByText("Ready: it answers live frames beside the gallery").waitFor();
    await page.getByText("Worse", { exact: true }).waitFor();
    await page.getByText("No live frame has come since it is ready.", { exact: false }).waitFor();
    const live = page.getByRole("region", { name: "On live frames" });
    await expect
      .poll(
        async () => {
          for (const kind of ["gear", "washer", "bracket"]) await recognizeFrame(address, `frame-${kind}-2`);
          return live.locator("img").count();
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(0);
    await live.getByText(/^Known becomes Unknown: /).waitFor();
    await live
      .getByText(/^Unknown, nearest /)
      .first()
      .waitFor();
    await shot("17-candidate-worse");
    expect(await findings(page)).toEqual([]);
    await button(page, "Promote it…").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("It answers pictures worse than the gallery does, beyond chance.").waitFor();
    await shot("18-candidate-promote");
    await page.keyboard.press("Escape");
    await button(page, "Give it up").click();
    await page.getByText("The candidate was given up.", { exact: false }).waitFor();

    await page.getByRole("combobox", { name: "Model" }).selectOption("second");
    await tune.uncheck();
    await button(page, "Make a candidate").click();
    await page.getByText("No clear difference").waitFor();
    await button(page, "Promote it…").click();
    await dialog.getByText("It has not answered a live frame yet.").waitFor();
    await dialog.getByLabel("Reason, kept in the history").fill("a second look");
    await page.keyboard.press("Enter");
    await page.getByText(/The candidate answers now, as revision \d+\./).waitFor();
    const modelOf = async (): Promise<string> => {
      const reply = await fetch(`${address}/v1/galleries/default`);
      return ((await reply.json()) as { model: string }).model;
    };
    expect(await modelOf()).toBe("second");
    await button(page, "Undo").click();
    await page.getByText("Undone.").waitFor();
    expect(await modelOf()).toBe("compact");
    await goTo(page, "History");
    await page.getByText("a second look").waitFor();

    // Where the server trains encoders, it is asked to; as if it did, which takes minutes.
    const asked: unknown[] = [];
    const server = await fetch(`${address}/v1/candidates`);
    await page.route("**/v1/candidates", (route) =>
      route.fulfill({
        json: {
          ...{ models: ["compact", "second"], learns: true },
          candidates: asked.length > 0 ? [{ gallery: "default" }] : [],
        },
      }),
    );
    expect(await server.json()).toEqual({ models: ["compact", "second"], learns: false, candidates: [] });
    await page.route("**/default/candidate", (route) => {
      if (route.request().method() === "POST") asked.push(route.request().postDataJSON());
      return route.fulfill({
        json: {
          ...{ id: "1", who: "local", since: 0, model: "compact", phase: "training", loss: 0.41234 },
          ...{ progress: { done: 37, of: 40 }, learned: null, error: null, revision: null, decision: null },
          ...{ summary: null, comparison: null, worse: null, shadow: null },
        },
      });
    });
    await goTo(page, "Candidate");
    await page.getByRole("checkbox", { name: "Train the model further on the gallery's pictures" }).check();
    expect(await page.getByRole("combobox", { name: "Model" }).isDisabled()).toBe(true);
    await page.getByLabel("Episodes of training").fill("40");
    await button(page, "Make a candidate").click();
    await page.getByText("The encoder is being trained").waitFor();
    await page.getByText("37 of 40, loss 0.412").waitFor();
    expect(asked).toEqual([{ tune: true, encoder: { steps: 40 } }]);
    await shot("18-candidate-training");
    await page.unrouteAll();

    // What cannot be made says why, and leaves the way open for another.
    await fetch(`${address}/v1/galleries`, {
      ...{ method: "POST", headers: { "content-type": "application/json" }, body: '{"name":"one"}' },
    });
    await fetch(`${address}/v1/galleries/one/classes/gear/samples`, {
      ...{ method: "POST", headers: { "content-type": "image/jpeg" } },
      body: await readFile(join(site.folder, "sample", "part-gear-1.jpg")),
    });
    await page.goto(`${address}/#/candidate/one`);
    await page.reload();
    await button(page, "Make a candidate").click();
    await page.getByText("It could not be made").waitFor();
    await page.getByText("The gallery has too few pictures for it.").waitFor();
    await page.getByRole("heading", { name: "Make another" }).waitFor();
    await shot("19-candidate-failed");
    expect(await findings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await visit.close();
  }, 120_000);

  it("fits a narrow screen in both languages, and has no button for a viewer that is refused", async () => {
    const { address, store } = await site.serve({
      watch: { referenceFrames: 8, windowFrames: 8, level: 0.2, windows: 1 },
    });
    await fill(address, 16);
    await fetch(`${address}/v1/galleries/default/candidate`, {
      ...{ method: "POST", headers: { "content-type": "application/json" } },
      body: JSON.stringify({ tune: false, falseRejectRate: 0.95 }),
    });
    const phase = async (): Promise<string> => {
      const reply = await fetch(`${address}/v1/galleries/default/candidate`);
      return ((await reply.json()) as { phase: string }).phase;
    };
    await expect.poll(phase, { timeout: 20_000 }).toBe("shadow");
    for (let i = 1; i < 5; i++) await recognizeFrame(address, `frame-gear-${i}`);
    const { key, record } = createApiKey({ name: "hall 2", scopes: scopesOf.viewer });
    const names = ["gallery", "live", "tray", "quality", "candidate", "drift", "history"];
    for (const [locale, colorScheme] of [
      ["zh-CN", "light"],
      ["en-US", "dark"],
    ] as const) {
      const visit = await site.visit(address, { locale, colorScheme, viewport: { width: 390, height: 844 } });
      const { page } = visit;
      for (const name of names) {
        await page.goto(`${address}/#/${name}/default`);
        await page.locator("main h1").waitFor();
        await page.waitForLoadState("networkidle");
        if (name === "quality") await page.locator("[aria-labelledby=expected] table").first().waitFor();
        await visit.shot(`14-${locale}-${name}`);
        const { wide, screen } = await page.evaluate(() => ({
          wide: document.documentElement.scrollWidth,
          screen: document.documentElement.clientWidth,
        }));
        expect([locale, name, wide]).toEqual([locale, name, screen]);
      }
      expect(visit.complaints).toEqual([]);
      await visit.close();
    }

    await store.putApiKey(record);
    // Keys are read again once a second; until then a page is let in without one.
    await expect.poll(async () => (await fetch(`${address}/v1/me`)).status).toBe(401);
    const visit = await site.visit(address, { locale: "zh-CN" });
    const { page } = visit;
    const refused: string[] = [];
    page.on("response", (response) => {
      if (response.status() === 403) refused.push(response.url());
    });
    // By the keyboard: the field has the focus.
    await page.getByLabel("API 密钥或令牌").waitFor();
    await page.keyboard.type(key);
    await page.keyboard.press("Enter");
    await page.getByText("已登录：hall 2").first().waitFor();
    await page.reload();
    await page.getByText("已登录：hall 2").first().waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("跳到正文");
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
    const link = page.getByRole("navigation").getByRole("link", { name: /^候选/ });
    await expect.poll(() => link.textContent(), { timeout: 5000 }).toBe("候选 就绪");
    let pressed = 0;
    for (const name of names) {
      await page.goto(`${address}/#/${name}/default`);
      await page.locator("main h1").waitFor();
      await page.waitForLoadState("networkidle");
      const buttons = page.locator("main button:enabled");
      for (let i = 0; i < (await buttons.count()); i++, pressed++) {
        // What was pressed before may disable or remove it between the count and this.
        const one = await buttons
          .nth(i)
          .elementHandle({ timeout: 2000 })
          .catch(() => null);
        const gone = await one?.press("Enter").then(
          () => false,
          () => true,
        );
        if (gone !== false) break;
        for (const inner of await page.locator("dialog button:enabled").all())
          expect(await inner.textContent()).toBe("关闭");
        await page.keyboard.press("Escape");
      }
    }
    // Three classes, start and next part of the line, two of the map, and the threshold as it is.
    expect(pressed).toBeGreaterThanOrEqual(8);
    expect(refused).toEqual([]);
    await visit.close();
  });

  it(`loads with less than ${budget / 1000} KB, compressed`, async () => {
    const { address } = await site.serve();
    const visit = await site.visit("about:blank");
    const { page } = visit;
    const sizes: Promise<number>[] = [];
    page.on("requestfinished", (request) =>
      sizes.push(request.sizes().then(({ responseBodySize }) => responseBodySize)),
    );
    await page.goto(address, { waitUntil: "networkidle" });
    const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    console.log(`console: the first load is ${(total / 1000).toFixed(1)} KB in ${sizes.length} replies`);
    expect(sizes.length).toBeGreaterThan(3);
    expect(total).toBeLessThan(budget);
    await visit.close();
  });
});
