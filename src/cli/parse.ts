import { InvalidArgumentError } from "commander";
import type { Region } from "../data/index.ts";
import type { ViewKind } from "../fewshot/index.ts";
import type { RefreshPolicy } from "../store/index.ts";

/** Values of options, from text. What is wrong is said in commander's words, with the option's name. */

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError("It must be a whole number of at least 1.");
  return value;
}

export function integer(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError("It must be a whole number.");
  return value;
}

export function positiveIntegerOrZero(text: string): number {
  return text.trim() === "0" ? 0 : positiveInteger(text);
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError("It must be a number above 0.");
  return value;
}

export function share(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1))
    throw new InvalidArgumentError("It must be a number between 0 and 1, as 0.05.");
  return value;
}

export function shareOrZero(text: string): number {
  return Number(text) === 0 && text.trim() !== "" ? 0 : share(text);
}

export function integerList(text: string): number[] {
  return text.split(",").map(positiveInteger);
}

/** Pictures of each class of a task, as `40:2`. */
export function parseSizes(text: string): number[] {
  const sizes = text.split(":").map(positiveInteger);
  if (sizes.length < 2)
    throw new InvalidArgumentError(
      "It must be the pictures of two classes or more, joined by colons, as 40:2.",
    );
  return sizes;
}

export function parseRegion(text: string): Region {
  const numbers = text.split(",").map(Number);
  const [x, y, width, height] = numbers;
  if (numbers.length !== 4 || numbers.some((value) => !Number.isInteger(value) || value < 0))
    throw new InvalidArgumentError("It must be x,y,width,height in pixels, as 100,50,640,480.");
  return { x: x!, y: y!, width: width!, height: height! };
}

export function parseRefresh(text: string): RefreshPolicy {
  if (text === "immediate" || text === "manual") return { kind: text };
  const samples = Number(text);
  if (!Number.isInteger(samples) || samples < 1)
    throw new InvalidArgumentError('It must be "immediate", "manual", or a number of new samples.');
  return { kind: "after", samples };
}

export function revisionNumber(text: string): number {
  if (!/^\d+$/.test(text))
    throw new InvalidArgumentError("It must be the number of a revision; see protoline gallery history.");
  return Number(text);
}

const viewNames = ["dihedral", "crop", "color", "cutout"] as const satisfies readonly ViewKind[];

/** Kinds of views joined by commas, or `none`. */
export function parseViews(text: string): ViewKind[] {
  if (text === "none") return [];
  return text.split(",").map((part) => {
    const view = viewNames.find((name) => name === part.trim());
    if (!view)
      throw new InvalidArgumentError(
        `It must be none, or some of ${viewNames.join(", ")}, joined by commas.`,
      );
    return view;
  });
}

/** A regular expression; what its first group matches, or else the whole match, names the group of a picture. */
export function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text, "u");
  } catch {
    throw new InvalidArgumentError('It must be a regular expression, as "IMG_\\d+".');
  }
}
