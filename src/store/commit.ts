import { ProtolineError, quote } from "../core/index.ts";
import type { DecisionSpec } from "../fewshot/types.ts";
import type { ClassRow, EmbeddingSet, GalleryRow, Member, RevisionRow, Tables } from "./backend.ts";
import { classHash, revisionHash } from "./hash.ts";
import { tidy } from "./labels.ts";
import { accumulate, emptyStatistics } from "./statistics.ts";
import type { Change, RevisionInfo } from "./store.ts";

/** A gallery at its head, inside one transaction. */
export interface Opened {
  readonly gallery: GalleryRow;
  readonly head: RevisionRow;
  readonly set: EmbeddingSet;
}

/** Throws GALLERY_NOT_FOUND. */
export async function open(tables: Tables, name: string): Promise<Opened> {
  const gallery = await tables.gallery(name);
  if (gallery === null)
    throw new ProtolineError("GALLERY_NOT_FOUND", {
      expected: "the name of a gallery of this store",
      got: quote(String(name)),
      todo: "List the galleries, or create this one.",
    });
  const head = await revisionAt(tables, gallery, gallery.head);
  return { gallery, head, set: await tables.embeddingSet(gallery.id, head.set) };
}

/** Throws REVISION_NOT_FOUND. */
export async function revisionAt(tables: Tables, gallery: GalleryRow, number: number): Promise<RevisionRow> {
  const row = Number.isSafeInteger(number) && number >= 0 ? await tables.revision(gallery.id, number) : null;
  if (row === null)
    throw new ProtolineError("REVISION_NOT_FOUND", {
      expected: `a revision of gallery ${quote(gallery.name)} from 0 to ${gallery.head}`,
      got: String(number),
      todo: "Look the number up in the gallery's history.",
    });
  return row;
}

export interface Step {
  /** Members of the new revision that the head lacks, and members that the head alone has. */
  readonly opened?: readonly Member[];
  readonly closed?: readonly Member[];
  /** Default: the head's. */
  readonly set?: EmbeddingSet;
  readonly decision?: DecisionSpec;
}

/**
 * Writes the next revision: membership, class hashes, class statistics, the revision's row, the head. The cost is
 * that of the touched classes: a class that only grew adds to its statistics, one that lost samples sums up again,
 * and only another embedding set makes all classes do so.
 */
export async function commit(
  tables: Tables,
  { gallery, head, set: before }: Opened,
  { opened = [], closed = [], set = before, decision = head.decision }: Step,
  { who, reason }: Change,
  time: number,
): Promise<RevisionInfo> {
  const number = gallery.head + 1;
  for (const { seq } of closed) await tables.closeMember(gallery.id, seq, number);
  for (const { seq, label } of opened) await tables.openMember(gallery.id, seq, label, number);

  const classes = new Map((await tables.classes(gallery.id)).map((row) => [row.label, row]));
  const all = set.number !== before.number;
  const touched = new Set([...opened, ...closed].map(({ label }) => label));
  if (all) for (const label of classes.keys()) touched.add(label);
  const shrunk = new Set(all ? touched : closed.map(({ label }) => label));
  const fresh = new Set(opened.map(({ seq }) => seq));

  for (const label of touched) {
    const members = await tables.classMembers(gallery.id, label);
    if (members.length === 0) {
      await tables.deleteClass(gallery.id, label);
      classes.delete(label);
      continue;
    }
    const held = classes.get(label)?.n ?? 0;
    const tail = members.slice(held);
    const grew = held > 0 && !shrunk.has(label) && tail.every(({ seq }) => fresh.has(seq));
    const start = grew ? (await tables.statistics(gallery.id, label))[0]! : emptyStatistics(label, set.dim);
    const seqs = (grew ? tail : members).map(({ seq }) => seq);
    const statistics = accumulate(start, await tables.firstViews(gallery.id, set.number, seqs));
    const row: ClassRow = {
      label,
      n: members.length,
      hash: classHash(members.map(({ contentHash }) => contentHash)),
    };
    await tables.putClass(gallery.id, statistics, row.hash);
    classes.set(label, row);
  }

  const rows = [...classes.values()];
  const info: RevisionInfo = {
    number,
    hash: revisionHash(set.modelHash, decision, rows),
    parent: gallery.head,
    time,
    who: tidy(who),
    reason: tidy(reason ?? ""),
    classes: rows.length,
    samples: rows.reduce((sum, { n }) => sum + n, 0),
  };
  await tables.insertRevision(gallery.id, { info, decision, set: set.number });
  await tables.updateGallery({ ...gallery, head: number });
  return info;
}

/**
 * Makes a revision of all pending samples. One whose class came to hold the same content while it waited (by a
 * rollback) is dropped. Without anything to publish the head is returned.
 */
export async function publishPending(
  tables: Tables,
  at: Opened,
  change: Change,
  time: number,
): Promise<RevisionInfo> {
  const pending = await tables.pending(at.gallery.id);
  if (pending.length === 0) return at.head.info;
  const held = new Set<string>();
  for (const label of new Set(pending.map((member) => member.label)))
    for (const member of await tables.classMembers(at.gallery.id, label)) held.add(contentKey(member));
  const doubles = pending.filter((member) => held.has(contentKey(member)));
  await tables.dropPending(
    at.gallery.id,
    doubles.map(({ seq }) => seq),
  );
  const opened = pending.filter((member) => !held.has(contentKey(member)));
  if (opened.length === 0) return at.head.info;
  await tables.clearPending(at.gallery.id);
  return commit(tables, at, { opened }, change, time);
}

/** The same content in the same class. */
function contentKey({ label, contentHash }: { label: string; contentHash: string }): string {
  return `${contentHash}${label}`;
}
