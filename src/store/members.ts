import { ProtolineError, quote } from "../core/index.ts";
import type { Member, Tables } from "./backend.ts";
import type { Opened } from "./commit.ts";
import type { NewSample } from "./store.ts";

/** The number of the sample in its gallery and the beginning of its content hash: `17-3fa9c2d1`. */
export function sampleId({ seq, contentHash }: { seq: number; contentHash: string }): string {
  return `${seq}-${contentHash.slice(0, 8)}`;
}

/** What a class has in the head, and what waits for it. */
export interface ClassMembers {
  readonly head: readonly Member[];
  readonly pending: readonly Member[];
}

export async function membersOf(tables: Tables, { gallery }: Opened, label: string): Promise<ClassMembers> {
  const head = await tables.classMembers(gallery.id, label);
  const pending = (await tables.pending(gallery.id)).filter((member) => member.label === label);
  return { head, pending };
}

/** Throws CLASS_NOT_FOUND. */
export async function classOf(tables: Tables, at: Opened, label: string): Promise<ClassMembers> {
  const members = await membersOf(tables, at, label);
  if (members.head.length + members.pending.length === 0)
    throw new ProtolineError("CLASS_NOT_FOUND", {
      expected: `a class of gallery ${quote(at.gallery.name)}`,
      got: quote(label),
      todo: "List the classes of the gallery.",
    });
  return members;
}

/** Which of the samples are new; earlier ones of the same call count as held. */
export async function sortOut(
  tables: Tables,
  at: Opened,
  samples: readonly NewSample[],
  allowOtherClass: boolean,
) {
  const labels = new Map<string, Set<string>>();
  const hold = (contentHash: string, label: string): void => {
    const held = labels.get(contentHash);
    if (held) held.add(label);
    else labels.set(contentHash, new Set([label]));
  };
  const contents = [...new Set(samples.map(({ contentHash }) => contentHash))];
  for (const { contentHash, label } of await tables.holders(at.gallery.id, contents))
    hold(contentHash, label);
  const fresh: number[] = [];
  const duplicates: number[] = [];
  const conflicts: { index: number; label: string }[] = [];
  for (const [index, { contentHash, label }] of samples.entries()) {
    const held = labels.get(contentHash);
    if (held?.has(label)) duplicates.push(index);
    else if (held && !allowOtherClass) conflicts.push({ index, label: [...held].sort()[0]! });
    else {
      fresh.push(index);
      hold(contentHash, label);
    }
  }
  return { fresh, duplicates, conflicts };
}
