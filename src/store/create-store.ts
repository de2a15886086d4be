import { ProtolineError, quote } from "../core/index.ts";
import { isOlderDecision } from "../fewshot/index.ts";
import type { Backend, Member, SampleRow, Tables } from "./backend.ts";
import {
  checkApiKey,
  checkDecision,
  checkEmbeddings,
  checkModel,
  checkRefresh,
  checkSample,
  invalid,
  show,
} from "./check.ts";
import { commit, type Opened, open, publishPending, revisionAt } from "./commit.ts";
import { canonicalJson, revisionHash } from "./hash.ts";
import { checkGalleryName, checkLabel, tidy } from "./labels.ts";
import { classOf, membersOf, sampleId, sortOut } from "./members.ts";
import type { AddResult, GalleryInfo, GalleryStore, RevisionInfo } from "./store.ts";

/** The store over a driver's tables: every rule of {@link GalleryStore} that does not depend on the driver. */
export function createStore(backend: Backend, now: () => number = Date.now): GalleryStore {
  const listeners = new Set<(gallery: string | null) => void>();
  /** For drivers that tell nothing by themselves. */
  const tell = (name: string): void => {
    for (const listener of listeners) listener(name);
  };
  /** A change of one gallery in one transaction. */
  const change = async <T>(name: string, work: (tables: Tables, at: Opened) => Promise<T>): Promise<T> => {
    const result = await backend.write(async (tables) => work(tables, await open(tables, name)));
    tell(name);
    return result;
  };
  const look = <T>(name: string, work: (tables: Tables, at: Opened) => Promise<T>): Promise<T> =>
    backend.read(async (tables) => work(tables, await open(tables, name)));

  return {
    driver: backend.driver,

    async createGallery({ name, model, modelHash, dim, decision, refresh = { kind: "immediate" }, who }) {
      checkGalleryName(name);
      checkModel({ model, modelHash, dim });
      const checked = { decision: checkDecision(decision), refresh: checkRefresh(refresh) };
      const made = await backend.write(async (tables) => {
        if ((await tables.gallery(name)) !== null)
          throw new ProtolineError("GALLERY_EXISTS", {
            expected: "a name that no gallery of this store has",
            got: quote(name),
            todo: "Choose another name, or remove the gallery that has it.",
          });
        const row = { name, refresh: checked.refresh, head: 0, seqs: 0, sets: 1 };
        const id = await tables.insertGallery(row);
        const set = { number: 1, model: tidy(model), modelHash, dim };
        await tables.insertEmbeddingSet(id, set);
        const info: RevisionInfo = {
          number: 0,
          hash: revisionHash(modelHash, checked.decision, []),
          parent: null,
          time: now(),
          who: tidy(who),
          reason: "create the gallery",
          classes: 0,
          samples: 0,
        };
        const head = { info, decision: checked.decision, set: 1 };
        await tables.insertRevision(id, head);
        return describe(tables, { gallery: { ...row, id }, head, set });
      });
      tell(name);
      return made;
    },

    galleries: () =>
      backend.read(async (tables) => {
        const infos: GalleryInfo[] = [];
        for (const { name } of await tables.galleries())
          infos.push(await describe(tables, await open(tables, name)));
        return infos;
      }),

    gallery: (name) => look(name, describe),

    removeGallery: (name) => change(name, async (tables, { gallery }) => tables.deleteGallery(gallery.id)),

    async setRefresh(name, refresh) {
      const checked = checkRefresh(refresh);
      await change(name, async (tables, { gallery }) =>
        tables.updateGallery({ ...gallery, refresh: checked }),
      );
    },

    addSamples: (name, samples, { modelHash, allowOtherClass = false, ...by }) =>
      change(name, async (tables, at): Promise<AddResult> => {
        if (modelHash !== at.set.modelHash)
          throw new ProtolineError("MODEL_MISMATCH", {
            expected: `embeddings of model ${quote(at.set.model)}, hash ${quote(at.set.modelHash)}`,
            got: `hash ${show(modelHash)}`,
            todo: "Enroll with the gallery's model, or embed the gallery again with the new one.",
          });
        const checked = samples.map((sample, index) => checkSample(sample, index, at.set.dim));
        const sorted = await sortOut(tables, at, checked, allowOtherClass);
        let { seqs } = at.gallery;
        const added: { id: string; index: number }[] = [];
        for (const index of sorted.fresh) {
          const { label, embeddings, contentHash, image, origin, time } = checked[index]!;
          const row: SampleRow = { seq: ++seqs, contentHash, origin, time, who: tidy(by.who) };
          await tables.insertSample(at.gallery.id, row, label);
          await tables.insertEmbeddings(at.gallery.id, at.set.number, row.seq, embeddings);
          if (image !== null) await tables.keepImage(at.gallery.id, contentHash, image);
          added.push({ id: sampleId(row), index });
        }
        const gallery = { ...at.gallery, seqs };
        await tables.updateGallery(gallery);
        const pending = await tables.countPending(gallery.id);
        const { refresh } = gallery;
        const due =
          added.length > 0 &&
          (refresh.kind === "immediate" || (refresh.kind === "after" && pending >= refresh.samples));
        const { duplicates, conflicts } = sorted;
        if (!due) return { added, duplicates, conflicts, revision: at.head.info, pending };
        const labels = [...new Set(added.map(({ index }) => checked[index]!.label))];
        const reason = by.reason ?? `enroll ${added.length} of ${list(labels)}`;
        const revision = await publishPending(tables, { ...at, gallery }, { who: by.who, reason }, now());
        return { added, duplicates, conflicts, revision, pending: 0 };
      }),

    removeSamples: (name, ids, by) =>
      change(name, async (tables, at) => {
        const wanted = new Set(ids);
        const members = await tables.members(at.gallery.id, at.gallery.head);
        const closed = members.filter((member) => wanted.delete(sampleId(member)));
        if (wanted.size > 0 || closed.length === 0)
          throw invalid(
            `ids of samples in revision ${at.gallery.head} of gallery ${quote(name)}`,
            wanted.size > 0 ? list([...wanted]) : "none",
            "Look the ids up in the gallery; nothing was removed.",
          );
        const reason = by.reason ?? `remove ${closed.length} samples`;
        return commit(tables, at, { closed }, { who: by.who, reason }, now());
      }),

    renameClass: (name, from, to, by) =>
      change(name, async (tables, at) => {
        const [old, label] = [checkLabel(from), checkLabel(to)];
        const moving = await classOf(tables, at, old);
        const there = await membersOf(tables, at, label);
        if (there.head.length + there.pending.length > 0)
          throw new ProtolineError("CLASS_EXISTS", {
            expected: "a name that no class of the gallery has",
            got: quote(label),
            todo: "Choose another name, or merge the two classes.",
          });
        for (const { seq } of moving.pending) await tables.relabelPending(at.gallery.id, seq, label);
        const opened = moving.head.map((member) => ({ ...member, label }));
        const reason = by.reason ?? `rename ${quote(old)} to ${quote(label)}`;
        return commitMembers(tables, at, opened, moving.head, { who: by.who, reason });
      }),

    mergeClasses: (name, from, into, by) =>
      change(name, async (tables, at) => {
        const label = checkLabel(into);
        const sources = [...new Set(from.map(checkLabel))].filter((source) => source !== label);
        if (sources.length === 0)
          throw invalid(
            `at least one class to merge into ${quote(label)}`,
            list(from),
            "Name the classes whose samples should move.",
          );
        const target = await membersOf(tables, at, label);
        const moving: { head: Member[]; pending: Member[] } = { head: [], pending: [] };
        for (const source of sources) {
          const { head, pending } = await classOf(tables, at, source);
          moving.head.push(...head);
          moving.pending.push(...pending);
        }
        const held = new Set([...target.head, ...target.pending].map(({ contentHash }) => contentHash));
        // The one enrolled first stays where two of the merged classes hold the same content.
        const takes = ({ contentHash }: Member): boolean =>
          !held.has(contentHash) && Boolean(held.add(contentHash));
        const opened = moving.head
          .sort((a, b) => a.seq - b.seq)
          .filter(takes)
          .map((member) => ({ ...member, label }));
        const doubles: number[] = [];
        for (const member of moving.pending.sort((a, b) => a.seq - b.seq))
          if (takes(member)) await tables.relabelPending(at.gallery.id, member.seq, label);
          else doubles.push(member.seq);
        await tables.dropPending(at.gallery.id, doubles);
        const reason = by.reason ?? `merge ${list(sources)} into ${quote(label)}`;
        return commitMembers(tables, at, opened, moving.head, { who: by.who, reason });
      }),

    removeClass: (name, label, by) =>
      change(name, async (tables, at) => {
        const { head, pending } = await classOf(tables, at, checkLabel(label));
        await tables.dropPending(
          at.gallery.id,
          pending.map(({ seq }) => seq),
        );
        const reason = by.reason ?? `remove ${quote(label)}`;
        return commitMembers(tables, at, [], head, { who: by.who, reason });
      }),

    async setDecision(name, decision, by) {
      const checked = checkDecision(decision);
      return change(name, (tables, at) =>
        commit(
          tables,
          at,
          { decision: checked },
          { who: by.who, reason: by.reason ?? "another decision" },
          now(),
        ),
      );
    },

    async replaceEmbeddings(name, { model, modelHash, dim, decision, embeddings }, by) {
      checkModel({ model, modelHash, dim });
      const checked = decision && checkDecision(decision);
      return change(name, async (tables, at) => {
        await refusePending(tables, at, "embedding again");
        const members = await tables.members(at.gallery.id, at.gallery.head);
        const ids = members.map(sampleId);
        const missing = ids.filter((id) => !embeddings.has(id));
        if (missing.length > 0 || embeddings.size !== ids.length)
          throw invalid(
            `embeddings for exactly the ${ids.length} samples of revision ${at.gallery.head}`,
            missing.length > 0 ? `none for ${list(missing)}` : `${embeddings.size}`,
            "Take a new snapshot and embed its samples again.",
          );
        const set = { number: at.gallery.sets + 1, model: tidy(model), modelHash, dim };
        await tables.insertEmbeddingSet(at.gallery.id, set);
        for (const [i, { seq }] of members.entries()) {
          const views = embeddings.get(ids[i]!)!;
          checkEmbeddings(views, dim, `sample ${ids[i]}`);
          await tables.insertEmbeddings(at.gallery.id, set.number, seq, views);
        }
        const gallery = { ...at.gallery, sets: set.number };
        const reason = by.reason ?? `embed again with ${set.model}`;
        return commit(tables, { ...at, gallery }, { set, decision: checked }, { who: by.who, reason }, now());
      });
    },

    publish: (name, by) =>
      change(name, (tables, at) =>
        publishPending(tables, at, { who: by.who, reason: by.reason ?? "publish" }, now()),
      ),

    history: (name, limit = Number.MAX_SAFE_INTEGER) =>
      look(name, async (tables, { gallery }) => tables.revisions(gallery.id, limit)),

    snapshot: (name, revision) =>
      look(name, async (tables, { gallery, head }) => {
        const row = revision === undefined ? head : await revisionAt(tables, gallery, revision);
        const { model, modelHash, dim } = await tables.embeddingSet(gallery.id, row.set);
        const samples = await tables.samples(gallery.id, row.info.number, row.set);
        return {
          gallery: gallery.name,
          revision: row.info,
          model,
          modelHash,
          dim,
          decision: checkDecision(row.decision),
          decisionIsOlder: isOlderDecision(row.decision),
          samples: samples.map(({ seq, ...sample }) => ({ id: sampleId({ seq, ...sample }), ...sample })),
        };
      }),

    diff: (name, from, to) =>
      look(name, async (tables, { gallery }) => {
        const [old, young] = [await revisionAt(tables, gallery, from), await revisionAt(tables, gallery, to)];
        const before = new Map(
          (await tables.members(gallery.id, from)).map((member) => [member.seq, member]),
        );
        const after = new Map((await tables.members(gallery.id, to)).map((member) => [member.seq, member]));
        const only = (these: ReadonlyMap<number, Member>, those: ReadonlyMap<number, Member>) =>
          [...these.values()]
            .filter(({ seq }) => !those.has(seq))
            .map((member) => ({ id: sampleId(member), label: member.label }));
        const oldSet = await tables.embeddingSet(gallery.id, old.set);
        const youngSet = await tables.embeddingSet(gallery.id, young.set);
        return {
          from,
          to,
          added: only(after, before),
          removed: only(before, after),
          relabelled: [...after.values()].flatMap((member) => {
            const label = before.get(member.seq)?.label ?? member.label;
            return label === member.label ? [] : [{ id: sampleId(member), from: label, to: member.label }];
          }),
          decisionChanged: canonicalJson(old.decision) !== canonicalJson(young.decision),
          modelChanged: oldSet.modelHash !== youngSet.modelHash,
        };
      }),

    rollback: (name, to, by) =>
      change(name, async (tables, at) => {
        const target = await revisionAt(tables, at.gallery, to);
        if (target.set !== at.head.set) await refusePending(tables, at, "the rollback");
        const key = ({ seq, label }: Member): string => `${seq} ${label}`;
        const present = await tables.members(at.gallery.id, at.gallery.head);
        const then = await tables.members(at.gallery.id, to);
        const [presentKeys, thenKeys] = [new Set(present.map(key)), new Set(then.map(key))];
        return commit(
          tables,
          at,
          {
            opened: then.filter((member) => !presentKeys.has(key(member))),
            closed: present.filter((member) => !thenKeys.has(key(member))),
            set: await tables.embeddingSet(at.gallery.id, target.set),
            decision: target.decision,
          },
          { who: by.who, reason: by.reason ?? `roll back to ${to}` },
          now(),
        );
      }),

    classStatistics: (name) => look(name, async (tables, { gallery }) => tables.statistics(gallery.id)),

    image: (name, id) =>
      look(name, async (tables, { gallery }) => {
        const seq = Number.parseInt(id, 10);
        const sample = Number.isSafeInteger(seq) ? await tables.sample(gallery.id, seq) : null;
        return sample === null || sampleId(sample) !== id
          ? null
          : tables.image(gallery.id, sample.contentHash);
      }),

    head: (name) => look(name, async (_, { gallery }) => gallery.head),

    subscribe(listener) {
      if (backend.subscribe) return backend.subscribe(listener);
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },

    async putApiKey(key) {
      const checked = checkApiKey(key);
      await backend.write(async (tables) => tables.putApiKey(checked));
    },
    apiKeys: () => backend.read(async (tables) => tables.apiKeys()),
    removeApiKey: (id) => backend.write(async (tables) => tables.removeApiKey(id)),

    close: () => backend.close(),
  };

  /** A revision where the head changes; where only pending samples moved the head stays. */
  async function commitMembers(
    tables: Tables,
    at: Opened,
    opened: readonly Member[],
    closed: readonly Member[],
    by: { who: string; reason: string },
  ): Promise<RevisionInfo> {
    if (opened.length + closed.length === 0) return at.head.info;
    return commit(tables, at, { opened, closed }, by, now());
  }
}

function list(names: readonly string[]): string {
  const shown = names
    .slice(0, 3)
    .map((name) => quote(name))
    .join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown || "none";
}

async function describe(tables: Tables, { gallery, head, set }: Opened): Promise<GalleryInfo> {
  const pending = await tables.countPending(gallery.id);
  const { model, modelHash, dim } = set;
  return { name: gallery.name, model, modelHash, dim, refresh: gallery.refresh, head: head.info, pending };
}

/** Samples that wait would be left behind with embeddings that the new head cannot use. */
async function refusePending(tables: Tables, { gallery, set }: Opened, what: string): Promise<void> {
  const pending = await tables.countPending(gallery.id);
  if (pending > 0)
    throw new ProtolineError("MODEL_MISMATCH", {
      expected: `no pending samples before ${what}`,
      got: `${pending}, embedded by ${quote(set.model)}`,
      todo: "Publish them first; they then stay in the history.",
    });
}
