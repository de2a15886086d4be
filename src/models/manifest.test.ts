import { describe, expect, it } from "vitest";
import { isProtolineError } from "../core/index.ts";
import { defaultDecision, defaultPriors } from "../fewshot/index.ts";
import { parseManifest, scatteringBundle, zoo } from "./index.ts";
import { zooManifest } from "./zoo.ts";

const { manifest } = scatteringBundle();

/** A deep copy of the manifest with one field set, or removed where `value` is undefined. */
function withField(path: string, value: unknown): unknown {
  const copy = JSON.parse(JSON.stringify(manifest)) as Record<string, unknown>;
  const keys = path.split(".");
  const last = keys.pop()!;
  let part: Record<string, unknown> = copy;
  for (const key of keys) part = part[key] as Record<string, unknown>;
  if (value === undefined) delete part[last];
  else part[last] = value;
  return copy;
}

function refusal(value: unknown): { expected: string; got: string } {
  try {
    parseManifest(value, "manifest.json");
  } catch (error) {
    if (isProtolineError(error) && error.code === "BUNDLE_INVALID") return error;
    throw error;
  }
  throw new Error("was accepted");
}

describe("parseManifest", () => {
  it("takes every manifest that Protoline makes, unchanged, and again after JSON", () => {
    for (const made of [manifest, ...zoo.map(zooManifest)]) {
      expect(parseManifest(made)).toEqual(made);
      expect(parseManifest(JSON.parse(JSON.stringify(made)))).toEqual(made);
    }
  });

  it("fills in what may be left out", () => {
    const { decision: _, priors: __, pooling: ___, version: ____, ...rest } = manifest;
    const { padding: _____, standardize: ______, ...preprocess } = manifest.preprocess;
    expect(parseManifest({ ...rest, preprocess })).toEqual({
      ...manifest,
      decision: defaultDecision,
      priors: defaultPriors,
      version: "1",
    });
  });

  it("takes decision and priors that an older Protoline wrote in today's form", () => {
    const older = {
      ...manifest.decision,
      head: { kind: "ridge", lambda: 0.1, projection: null },
      openSet: { score: "cosine", falseRejectRate: 0.05 },
    };
    const priors = { baseMean: null, temperature: 0.08, thresholds: [] };
    const parsed = parseManifest({ ...manifest, decision: older, priors });
    expect(parsed.decision.head).toEqual({ kind: "ridge", lambda: 0.1 });
    expect(parsed.decision.openSet).toEqual({ falseRejectRate: 0.05 });
    expect(parsed.priors).toEqual(defaultPriors);
  });

  it("does not change what it was given", () => {
    const given = withField("decision", undefined);
    const before = JSON.stringify(given);
    parseManifest(given);
    expect(JSON.stringify(given)).toBe(before);
  });

  it.each([
    ["name", undefined, "a value", "none"],
    ["name", "Zoo Model", "match", "Zoo Model"],
    ["format", 2, "1", "2"],
    ["colour", "red", "no such field", "one"],
    ["model.sha256", "abc", "match", "abc"],
    ["embeddingDim", 0, ">= 1", "0"],
    ["embeddingDim", "834", "integer", "834"],
    ["pooling", "max", "none, mean, meanStd", "max"],
    ["preprocess.fit", "squash", "stretch, crop, fit", "squash"],
    ["preprocess.size", [128], "integer", "nothing"],
    ["preprocess.mean", [0, 0, 0], "1 number", "3"],
    ["preprocess.std", [0], "> 0", "0"],
    ["decision.head.kind", "forest", "prototype", "forest"],
    ["decision.head", { kind: "ridge", lambda: -1 }, "> 0", "-1"],
    ["decision.transform.power", "half", "number or null", "half"],
    ["decision.openSet.falseRejectRate", 1, "< 1", "1"],
    ["priors.limits", { deviation: 0, oneShot: null }, "> 0", "0"],
    ["priors.baseMean", [1, 2], "834 numbers", "2"],
    ["provenance.license", "", "1", ""],
  ])("refuses %s = %j, naming field, expected and got", (field, value, expected, got) => {
    const told = refusal(withField(field, value));
    expect(told.expected).toContain(`"${field}`);
    expect(told.expected).toContain(expected);
    expect(told.got).toContain(got);
  });

  it.each([[null], [42], ["text"], [[]]])("refuses %j", (value) => {
    expect(refusal(value).expected).toContain("manifest.json");
  });
});
