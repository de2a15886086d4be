import { describe, expect, it } from "vitest";
import { fakeEncoder } from "../../test/support/fake-encoder.ts";
import { createSight } from "./sight.ts";

function counted() {
  let released = 0;
  const sight = createSight({
    encoder: fakeEncoder(),
    release: () => {
      released++;
    },
  });
  return { sight, released: () => released };
}
/** Work that ends when it is told to. */
function held() {
  let end = (): void => undefined;
  const work = new Promise<string>((resolve) => {
    end = () => resolve("seen");
  });
  return { work: () => work, end: () => end() };
}

describe("a sight", () => {
  it("keeps its encoder open until what is under way has ended, and gives it back once", async () => {
    const { sight, released } = counted();
    const [a, b] = [held(), held()];
    const [first, second] = [sight.use(a.work), sight.use(b.work)];
    sight.retire();
    expect(released()).toBe(0);
    a.end();
    expect(await first).toBe("seen");
    expect(released()).toBe(0);
    b.end();
    await second;
    expect(released()).toBe(1);
    sight.retire();
    expect(released()).toBe(1);
  });

  it("is given back at once where nothing is under way", () => {
    const { sight, released } = counted();
    sight.retire();
    expect(released()).toBe(1);
  });

  it("counts work that fails as ended, and passes its error on", async () => {
    const { sight, released } = counted();
    const failing = sight.use(async () => {
      throw new Error("broken");
    });
    sight.retire();
    await expect(failing).rejects.toThrow("broken");
    expect(released()).toBe(1);
  });
});
