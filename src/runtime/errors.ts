import { ProtolineError, quote } from "../core/index.ts";

/** The runtime has no error codes; these are its messages for bytes that are no model at all. */
const brokenMessage = /protobuf parsing failed|data pointer is null|No graph was found|Missing model IR/i;

/** What ONNX Runtime says when it loads a model, as a coded error. @param name the model, for the message. */
export function loadError(error: unknown, name: string): ProtolineError {
  const message = messageOf(error);
  if (brokenMessage.test(message))
    return new ProtolineError("MODEL_BROKEN", {
      expected: "an ONNX model file",
      got: `${name}, which cannot be parsed`,
      todo: "Check that the file is complete and is an .onnx file.",
      cause: error,
    });
  return new ProtolineError("MODEL_UNSUPPORTED", {
    expected: "a model that ONNX Runtime 1.30 can load, with its weights inside the one file",
    got: `${name}: ${quote(message, 300)}`,
    todo: "Export the model again with standard ONNX operators, or report the operator that is named here.",
    cause: error,
  });
}

/** What ONNX Runtime says when it runs a model, as a coded error. */
export function runError(error: unknown): ProtolineError {
  return new ProtolineError("MODEL_UNSUPPORTED", {
    expected: "a model that runs on the given inputs",
    got: quote(messageOf(error), 300),
    todo: "Check that the inputs have the shapes and types which the model declares.",
    cause: error,
  });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
