import { describe, expect, it } from "vitest";
import { ProtolineError } from "../core/index.ts";
import { createPatience } from "./patience.ts";

const problem = (code: "OVERLOADED" | "GALLERY_EMPTY" | "IMAGE_BROKEN"): ProtolineError =>
  new ProtolineError(code, { expected: "an answer", got: "none", todo: "Wait." });

describe("patience", () => {
  it("asks again until there is an answer, and tells of a long wait alone", async () => {
    const events: string[] = [];
    const patiently = createPatience(new AbortController().signal, (event) => events.push(event));
    let asked = 0;
    const busy = async (): Promise<number> => {
      if (++asked < 3) throw problem("OVERLOADED");
      return asked;
    };
    expect(await patiently(busy)).toBe(3);
    expect(events).toEqual([]);
    const from = performance.now();
    const empty = async (): Promise<string> => {
      if (performance.now() - from < 1500) throw problem("GALLERY_EMPTY");
      return "answer";
    };
    expect(await patiently(empty)).toBe("answer");
    expect(events).toEqual([expect.stringMatching(/^frames wait: /), "frames are answered again"]);
  });

  it("leaves what is wrong with the frame to the frame", async () => {
    const patiently = createPatience(new AbortController().signal, () => undefined);
    let asked = 0;
    const broken = async (): Promise<never> => {
      asked++;
      throw problem("IMAGE_BROKEN");
    };
    await expect(patiently(broken)).rejects.toMatchObject({ code: "IMAGE_BROKEN" });
    expect(asked).toBe(1);
  });

  it("ends with the line, after one more attempt", async () => {
    const stop = new AbortController();
    const patiently = createPatience(stop.signal, () => undefined);
    const waiting = patiently(async () => {
      throw problem("OVERLOADED");
    });
    stop.abort(new Error("the line stops"));
    await expect(waiting).rejects.toThrow("the line stops");
    expect(await patiently(async () => "there at once")).toBe("there at once");
  });
});
