import { describe, expect, it } from "vitest";
import { isLoopbackAddress, isLoopbackName } from "./loopback.ts";

describe("loopback", () => {
  it.each(["localhost", "LocalHost", "127.0.0.1", "127.8.9.1", "[::1]", "::1"])(
    "%s is this machine",
    (name) => {
      expect(isLoopbackName(name)).toBe(true);
    },
  );

  it.each([
    "",
    "0.0.0.0",
    "::",
    "10.127.0.1",
    "127.0.0.1.nip.example",
    "a127.0.0.1",
    "localhost.example",
    "[::2]",
    "[localhost",
  ])("%s is not", (name) => {
    expect(isLoopbackName(name)).toBe(false);
  });

  it("knows IPv4 in IPv6", () => {
    expect(isLoopbackAddress("::ffff:127.0.0.1")).toBe(true);
    expect(isLoopbackAddress("::ffff:10.0.0.1")).toBe(false);
  });
});
