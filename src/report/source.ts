import { ProtolineError, quote } from "../core/index.ts";

export function notFound(path: string, cause: unknown): never {
  throw new ProtolineError("REPORT_SOURCE_NOT_FOUND", {
    expected: "the folder of a training run, or the JSON file of an evaluation",
    got: `${quote(path, 200)}, which cannot be read`,
    todo: "Check the path; protoline train makes such a folder, protoline evaluate --json prints such a file.",
    cause,
  });
}

export const invalid = (path: string, expected: string, got: string, cause?: unknown): ProtolineError =>
  new ProtolineError("REPORT_SOURCE_INVALID", {
    expected: `${expected} in ${quote(path, 200)}`,
    got: quote(got, 120),
    todo: "Give the folder of a training run, or what protoline evaluate --json printed.",
    cause,
  });

export function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(path, "JSON", text.slice(0, 60), error);
  }
}
