import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ErrorCode } from "../src/core/index.ts";
import type { GalleryStore, RefreshPolicy } from "../src/store/index.ts";
import { decision, gallery, hashOf, sample } from "./store.contract.ts";

/** The store as somebody would write it who had all the time and memory of the world: whole copies everywhere. */
interface Entry {
  readonly label: string;
  readonly content: string;
  /** Order of enrollment. */
  readonly seq: number;
}
interface Revision {
  readonly entries: readonly Entry[];
  readonly margin: number;
  /** 0, 1, … for each replacement of the embeddings. */
  readonly set: number;
}

class Model {
  revisions: Revision[] = [{ entries: [], margin: 0.1, set: 0 }];
  pending: Entry[] = [];
  refresh: RefreshPolicy = { kind: "immediate" };
  seqs = 0;
  sets = 0;

  get head(): Revision {
    return this.revisions.at(-1)!;
  }
  commit(change: Partial<Revision>): void {
    const next = { ...this.head, ...change };
    this.revisions.push({ ...next, entries: [...next.entries].sort((a, b) => a.seq - b.seq) });
  }
  publish(): void {
    const held = new Set(this.head.entries.map((entry) => `${entry.label}/${entry.content}`));
    const fresh = this.pending.filter((entry) => !held.has(`${entry.label}/${entry.content}`));
    if (fresh.length > 0) this.commit({ entries: [...this.head.entries, ...fresh] });
    this.pending = [];
  }
  /** Applies `change` to head and pending; a revision is made when the head's entries change. */
  both(change: (entries: readonly Entry[]) => Entry[]): void {
    const head = change(this.head.entries);
    this.pending = change(this.pending);
    if (JSON.stringify(head) !== JSON.stringify(this.head.entries)) this.commit({ entries: head });
  }
  has(label: string): boolean {
    return [...this.head.entries, ...this.pending].some((entry) => entry.label === label);
  }
}

const modelHash = (set: number): string => `m${set + 1}`;
/** Differs for each embedding set, with fractions that show a wrong order of summation. */
const views = (content: string, set: number): Float32Array[] =>
  sample("", content).embeddings.map((view) =>
    view.map((x) => x * (1 + set / 3) * (1e-3 + Number(content) ** 7)),
  );

type Op = (model: Model, store: GalleryStore, name: string) => Promise<void>;
const who = { who: "anna" };

/** Runs the store's call and checks that it fails with this code, or does not fail. */
async function call(promise: Promise<unknown>, code: ErrorCode | null): Promise<boolean> {
  const got = await promise.then(
    () => null,
    (error: { code?: string }) => error.code ?? error,
  );
  expect(got).toBe(code);
  return code === null;
}

const label = fc.constantFrom("A", "B", "C", "零件/D");
const content = fc.integer({ min: 1, max: 8 }).map(String);

const add = fc.tuple(fc.array(fc.tuple(label, content), { maxLength: 5 }), fc.boolean()).map(
  ([pairs, allowOtherClass]): Op =>
    async (model, store, name) => {
      const expected = { added: [] as number[], duplicates: [] as number[], conflicts: [] as number[] };
      for (const [index, [label, content]] of pairs.entries()) {
        const holders = [...model.head.entries, ...model.pending].filter(
          (entry) => entry.content === content,
        );
        if (holders.some((entry) => entry.label === label)) expected.duplicates.push(index);
        else if (holders.length > 0 && !allowOtherClass) expected.conflicts.push(index);
        else {
          expected.added.push(index);
          model.pending.push({ label, content, seq: ++model.seqs });
        }
      }
      const { set } = model.head;
      const samples = pairs.map(([label, content]) =>
        sample(label, content, { embeddings: views(content, set) }),
      );
      const result = await store.addSamples(name, samples, {
        ...who,
        modelHash: modelHash(set),
        allowOtherClass,
      });
      expect({
        added: result.added.map(({ index }) => index),
        duplicates: result.duplicates,
        conflicts: result.conflicts.map(({ index }) => index),
      }).toEqual(expected);
      const due =
        model.refresh.kind === "after" ? model.refresh.samples : model.refresh.kind === "manual" ? 99 : 1;
      if (expected.added.length > 0 && model.pending.length >= due) model.publish();
    },
);

const removeSamples = fc.array(fc.nat(9), { minLength: 1, maxLength: 3 }).map(
  (picks): Op =>
    async (model, store, name) => {
      const { samples } = await store.snapshot(name);
      const chosen = new Set(picks.filter((i) => i < samples.length));
      const ids = [...chosen].map((i) => samples[i]!.id);
      if (await call(store.removeSamples(name, ids, who), ids.length > 0 ? null : "INVALID_ARGUMENT"))
        model.commit({ entries: model.head.entries.filter((_, i) => !chosen.has(i)) });
    },
);

const rename = fc.tuple(label, label).map(
  ([from, to]): Op =>
    async (model, store, name) => {
      const code = !model.has(from) ? "CLASS_NOT_FOUND" : model.has(to) ? "CLASS_EXISTS" : null;
      if (await call(store.renameClass(name, from, to, who), code))
        model.both((entries) =>
          entries.map((entry) => (entry.label === from ? { ...entry, label: to } : entry)),
        );
    },
);

const merge = fc.tuple(fc.uniqueArray(label, { minLength: 1, maxLength: 3 }), label).map(
  ([from, into]): Op =>
    async (model, store, name) => {
      const sources: string[] = from.filter((one) => one !== into);
      const code =
        sources.length === 0
          ? "INVALID_ARGUMENT"
          : sources.every((one) => model.has(one))
            ? null
            : "CLASS_NOT_FOUND";
      if (!(await call(store.mergeClasses(name, from, into, who), code))) return;
      const all = [...model.head.entries, ...model.pending];
      const held = new Set(all.filter((entry) => entry.label === into).map((entry) => entry.content));
      model.both((entries) =>
        entries.flatMap((entry) => {
          if (!sources.includes(entry.label)) return [entry];
          if (held.has(entry.content)) return [];
          held.add(entry.content);
          return [{ ...entry, label: into }];
        }),
      );
    },
);

const removeClass = label.map(
  (label): Op =>
    async (model, store, name) => {
      if (await call(store.removeClass(name, label, who), model.has(label) ? null : "CLASS_NOT_FOUND"))
        model.both((entries) => entries.filter((entry) => entry.label !== label));
    },
);

const rollback = fc.nat(12).map(
  (to): Op =>
    async (model, store, name) => {
      const target = model.revisions[to];
      const stuck = target && target.set !== model.head.set && model.pending.length > 0;
      const code = target === undefined ? "REVISION_NOT_FOUND" : stuck ? "MODEL_MISMATCH" : null;
      if (await call(store.rollback(name, to, who), code)) model.commit(target!);
    },
);

const setDecision = fc.constantFrom(0.1, 0.2).map(
  (margin): Op =>
    async (model, store, name) => {
      await store.setDecision(name, { ...decision, ambiguity: { margin } }, who);
      model.commit({ margin });
    },
);

const replace = fc.constant<Op>(async (model, store, name) => {
  const { samples } = await store.snapshot(name);
  const set = model.sets + 1;
  const embeddings = new Map(
    model.head.entries.map(({ content }, i) => [samples[i]!.id, views(content, set)] as const),
  );
  const replacement = { model: "net", modelHash: modelHash(set), dim: 4, embeddings };
  const code = model.pending.length > 0 ? "MODEL_MISMATCH" : null;
  if (!(await call(store.replaceEmbeddings(name, replacement, who), code))) return;
  model.sets = set;
  model.commit({ set });
});

const setRefresh = fc
  .constantFrom<RefreshPolicy>({ kind: "immediate" }, { kind: "manual" }, { kind: "after", samples: 3 })
  .map(
    (refresh): Op =>
      async (model, store, name) => {
        await store.setRefresh(name, refresh);
        model.refresh = refresh;
      },
  );

const publish = fc.constant<Op>(async (model, store, name) => {
  await store.publish(name, who);
  model.publish();
});

const op = fc.oneof(
  { arbitrary: add, weight: 6 },
  ...[
    removeSamples,
    rename,
    merge,
    removeClass,
    rollback,
    rollback,
    setDecision,
    replace,
    setRefresh,
    publish,
  ].map((arbitrary) => ({ arbitrary, weight: 1 })),
);

async function compare(model: Model, store: GalleryStore, name: string): Promise<void> {
  const { head, entries } = { head: await store.snapshot(name), entries: model.head.entries };
  const number = model.revisions.length - 1;
  expect(head.samples.map(({ label, contentHash, embeddings }) => [label, contentHash, embeddings])).toEqual(
    entries.map(({ label, content }) => [label, hashOf(content), views(content, model.head.set)]),
  );
  const labels = [...new Set(entries.map(({ label }) => label))].sort();
  expect(head.revision).toMatchObject({ number, samples: entries.length, classes: labels.length });
  expect((await store.gallery(name)).pending).toBe(model.pending.length);
  // Recomputed from nothing, and equal to the last bit.
  expect(await store.classStatistics(name)).toEqual(
    labels.map((label) => {
      const first = head.samples.filter((one) => one.label === label).map((one) => one.embeddings[0]!);
      const total = (f: (x: number) => number): Float64Array =>
        first.reduce((sum, view) => sum.map((s, i) => s + f(view[i]!)), new Float64Array(4));
      return { label, n: first.length, sum: total((x) => x), sumOfSquares: total((x) => x * x) };
    }),
  );
}

/** Revisions never change, and their hashes are equal exactly when their contents are. */
async function compareHistory(model: Model, store: GalleryStore, name: string): Promise<void> {
  const byHash = new Map<string, string>();
  for (const [number, { entries, margin, set }] of model.revisions.entries()) {
    const { revision, samples } = await store.snapshot(name, number);
    expect(samples.map((one) => [one.label, one.contentHash, one.embeddings])).toEqual(
      entries.map((one) => [one.label, hashOf(one.content), views(one.content, set)]),
    );
    const pairs = entries.map((one) => `${one.label}/${one.content}`).sort();
    const content = JSON.stringify([set, margin, pairs]);
    expect(byHash.get(revision.hash) ?? content).toBe(content);
    byHash.set(revision.hash, content);
  }
  expect(new Set(byHash.values()).size).toBe(byHash.size);
  const numbers = (await store.history(name)).map(({ number, parent }) => [number, parent]);
  expect(numbers.toReversed()).toEqual(model.revisions.map((_, i) => [i, i === 0 ? null : i - 1]));
}

/** Random operations on a driver and on the naive model; each run has a gallery of its own in one store. */
export function storeModel(driver: string, open: () => Promise<GalleryStore>, numRuns: number): void {
  describe(`the ${driver} store against a naive model`, () => {
    it("agrees after every one of random operations", async () => {
      const store = await open();
      let runs = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(op, { minLength: 5, maxLength: 25 }), async (ops) => {
          const name = `run-${runs++}`;
          await store.createGallery(gallery(name));
          const model = new Model();
          for (const step of ops) {
            await step(model, store, name);
            await compare(model, store, name);
          }
          await compareHistory(model, store, name);
        }),
        { numRuns },
      );
      await store.close();
    });
  });
}
