import { type Embeddings, ProtolineError, row, type Steps, take } from "../core/index.ts";
import { checkFinite, powerAndScale } from "./transforms.ts";
import type { DecisionSpec, Support, TransformSpec } from "./types.ts";

/** One class of a gallery: immutable, so that gallery revisions share the classes that did not change. */
export interface ClassRows<Label> {
  readonly label: Label;
  /** As the encoder gave them, each `[dim]`. */
  readonly raw: readonly Float32Array[];
  /** After power and L2, each `[dim]`. */
  readonly rows: readonly Float32Array[];
  readonly pictures: readonly ClassPicture[];
}

export interface ClassPicture {
  /** Row numbers: the picture as it is first, then its views. */
  readonly rows: readonly number[];
  /** Pictures of one group are left out together; `null`: by itself. */
  readonly group: string | null;
}

/** Throws DIMENSION_MISMATCH when labels, pictures or groups do not match the rows, or the rows the gallery. */
export function checkSupport<Label>(support: Support<Label>, dim: number): void {
  const { embeddings, labels, pictures, groups } = support;
  const fail = (expected: string, got: string): never => {
    throw new ProtolineError("DIMENSION_MISMATCH", {
      expected,
      got,
      todo: "Pass one label (and one picture and one group, if any) for each row, all rows of one encoder.",
    });
  };
  if (labels.length !== embeddings.n) fail(`${embeddings.n} labels`, `${labels.length}`);
  if (pictures && pictures.length !== embeddings.n) fail(`${embeddings.n} pictures`, `${pictures.length}`);
  if (groups && groups.length !== embeddings.n) fail(`${embeddings.n} groups`, `${groups.length}`);
  if (embeddings.dim !== dim) fail(`embeddings of ${dim} numbers`, `${embeddings.dim}`);
  checkRows(embeddings);
}

function checkRows(embeddings: Embeddings): void {
  for (let i = 0; i < embeddings.n; i++) checkFinite(row(embeddings, i), i);
}

/** Only the first row of each picture where the spec has no support views: that is the picture as it is. */
export function pickViews<Label>(support: Support<Label>, spec: Pick<DecisionSpec, "views">): Support<Label> {
  const { embeddings, labels, pictures, groups } = support;
  if (!pictures || spec.views.support.length > 0) return support;
  const first = new Map<number, number>();
  pictures.forEach((picture, i) => {
    if (!first.has(picture)) first.set(picture, i);
  });
  const rows = [...first.values()];
  if (rows.length === labels.length) return support;
  return {
    embeddings: take(embeddings, rows),
    labels: rows.map((i) => labels[i]!),
    ...(groups && { groups: rows.map((i) => groups[i]!) }),
  };
}

/** Rows of `support` put behind those of `classes`. */
export function* addRows<Label>(
  classes: readonly ClassRows<Label>[],
  support: Support<Label>,
  transform: TransformSpec,
): Steps<ClassRows<Label>[]> {
  const { embeddings, labels, pictures, groups } = support;
  interface Draft {
    raw: Float32Array[];
    rows: Float32Array[];
    pictures: { rows: number[]; group: string | null }[];
    at: Map<number, number[]>;
  }
  const drafts = new Map<Label, Draft>();
  const existing = new Map(classes.map((c) => [c.label, c]));
  for (let i = 0; i < embeddings.n; i++) {
    const label = labels[i]!;
    let draft = drafts.get(label);
    if (!draft) {
      const old = existing.get(label);
      draft = {
        raw: old ? [...old.raw] : [],
        rows: old ? [...old.rows] : [],
        pictures: old ? old.pictures.map((p) => ({ ...p, rows: [...p.rows] })) : [],
        at: new Map(),
      };
      drafts.set(label, draft);
    }
    const raw = row(embeddings, i);
    const number = pictures ? pictures[i]! : i;
    let picture = draft.at.get(number);
    if (!picture) {
      picture = [];
      draft.at.set(number, picture);
      draft.pictures.push({ rows: picture, group: groups?.[i] ?? null });
    }
    picture.push(draft.raw.length);
    draft.raw.push(raw);
    draft.rows.push(powerAndScale(raw, transform));
    if (i % 16 === 15) yield;
  }
  const out = classes.map((c): ClassRows<Label> => {
    const draft = drafts.get(c.label);
    return draft ? { label: c.label, raw: draft.raw, rows: draft.rows, pictures: draft.pictures } : c;
  });
  for (const [label, { raw, rows, pictures }] of drafts)
    if (!existing.has(label)) out.push({ label, raw, rows, pictures });
  return out;
}

/** Without one row for each row of `support`, found by its label and its raw numbers. Throws INVALID_ARGUMENT. */
export function removeRows<Label>(
  classes: readonly ClassRows<Label>[],
  support: Support<Label>,
): ClassRows<Label>[] {
  const gone = new Map<Label, Set<number>>();
  const byLabel = new Map(classes.map((c) => [c.label, c]));
  for (let i = 0; i < support.embeddings.n; i++) {
    const label = support.labels[i]!;
    const wanted = row(support.embeddings, i);
    const owner = byLabel.get(label);
    const taken = gone.get(label) ?? new Set<number>();
    const at = owner ? owner.raw.findIndex((x, k) => !taken.has(k) && same(x, wanted)) : -1;
    if (!owner || at < 0)
      throw new ProtolineError("INVALID_ARGUMENT", {
        expected: "only rows that the gallery holds under that label",
        got: `row ${i} of the removal, which it does not hold`,
        todo: "Remove a sample with the same label and embedding that it was added with.",
      });
    taken.add(at);
    gone.set(label, taken);
  }
  const out: ClassRows<Label>[] = [];
  for (const c of classes) {
    const dead = gone.get(c.label);
    if (!dead) {
      out.push(c);
      continue;
    }
    const moved = new Map<number, number>();
    c.raw.forEach((_, k) => {
      if (!dead.has(k)) moved.set(k, moved.size);
    });
    if (moved.size === 0) continue;
    const kept = <T>(items: readonly T[]): T[] => items.filter((_, k) => moved.has(k));
    const pictures = c.pictures
      .map(({ rows, group }) => ({
        rows: rows.filter((k) => moved.has(k)).map((k) => moved.get(k)!),
        group,
      }))
      .filter(({ rows }) => rows.length > 0);
    out.push({ label: c.label, raw: kept(c.raw), rows: kept(c.rows), pictures });
  }
  return out;
}

function same(a: Float32Array, b: Float32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
