import { ProtolineError, quote } from "../core/index.ts";

/** Control characters, lone surrogates, line separators, and the marks that reverse the reading direction of a text. */
const unprintable = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;
const unprintables = new RegExp(unprintable, "gu");

const labelLimit = 200;

/**
 * The name of a class as the store keeps it: in Unicode form NFC, without spaces at its ends.
 *
 * 1 to 200 characters (code points) of any script, emoji included; no control characters, no marks that reverse the
 * reading direction. A slash or a backslash is allowed (`M8/20 screw`): a label never becomes a path. Upper and lower
 * case are different. Throws LABEL_INVALID.
 */
export function checkLabel(text: string): string {
  if (typeof text !== "string")
    throw invalid("a text", typeof text, "Give the class a name of 1 to 200 characters.");
  // Four times the limit in code units cannot hold a valid name; normalising megabytes would only cost time.
  if (text.length > 4 * labelLimit)
    throw invalid(
      `at most ${labelLimit} characters`,
      `${text.length}: ${quote(text, 40)}`,
      "Give the class a shorter name.",
    );
  const label = text.normalize("NFC").trim();
  if (label === "") throw invalid("at least 1 character", quote(text), "Give the class a name.");
  if (unprintable.test(label))
    throw invalid(
      "characters that can be printed",
      quote(label),
      "Take control characters and line breaks out of the name.",
    );
  const { length } = [...label];
  if (length > labelLimit)
    throw invalid(
      `at most ${labelLimit} characters`,
      `${length}: ${quote(label, 40)}`,
      "Give the class a shorter name.",
    );
  return label;
}

/** The name of a gallery: 1 to 64 of letters, digits, `.`, `_`, `-`, not beginning with a dot. Throws INVALID_ARGUMENT. */
export function checkGalleryName(name: string): string {
  if (typeof name !== "string" || !/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/.test(name))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a gallery name of 1 to 64 letters, digits, dots, underscores or hyphens",
      got: typeof name === "string" ? quote(name) : typeof name,
      todo: "Name the gallery in plain letters, such as line-3, and do not begin with a dot.",
    });
  return name;
}

/** A remark for the reader, made safe to keep and to print: what cannot be printed becomes `�`, the end is cut at `limit`. */
export function tidy(text: string, limit = 1000): string {
  return String(text).slice(0, limit).replace(unprintables, "\ufffd");
}

function invalid(expected: string, got: string, todo: string): ProtolineError {
  return new ProtolineError("LABEL_INVALID", { expected, got, todo });
}
