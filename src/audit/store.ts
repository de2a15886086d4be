import { isProtolineError } from "../core/index.ts";
import type { ApiKeyRecord, GalleryStore, RevisionInfo } from "../store/store.ts";
import { type Actor, currentActor } from "./actor.ts";
import type { AuditEvent } from "./chain.ts";
import type { AuditLog } from "./log.ts";

interface What {
  readonly action: string;
  readonly gallery: string | null;
  /** As the caller of the store names himself; else the actor's. */
  readonly who?: string;
  readonly reason?: string;
  readonly old: unknown;
  readonly wanted: unknown;
}

/** Names in a line are bounded, as a rename or an import may have thousands. */
const most = 100;
const bounded = <T>(
  values: readonly T[],
): readonly T[] | { readonly first: readonly T[]; readonly of: number } =>
  values.length <= most ? values : { first: values.slice(0, most), of: values.length };

const revision = ({ number, hash, parent, classes, samples }: RevisionInfo) => ({
  revision: number,
  hash,
  parent,
  classes,
  samples,
});
const shown = ({ id, name, scopes }: ApiKeyRecord) => ({ id, name, scopes });

/** How many of each, in the order of their first coming. */
function counts(labels: readonly string[]): unknown {
  const counted = new Map<string, number>();
  for (const label of labels) counted.set(label, (counted.get(label) ?? 0) + 1);
  return bounded([...counted].map(([label, samples]) => ({ label, samples })));
}

/**
 * The store with an audit log before it: each change is written as begun, made, and written as ended, with what it came
 * to. A change that cannot be written as begun is not made (AUDIT_UNAVAILABLE). Should the end not be written, the
 * change stands, its begin without an end says so, and the next change is refused until the log can be written again.
 *
 * All ways to change a gallery lead through here, whatever route or command takes them. Reading is passed on as it is.
 */
export function auditedStore(
  store: GalleryStore,
  log: Pick<AuditLog, "append">,
  fallback: Actor,
): GalleryStore {
  const around = async <T>(what: What, work: () => Promise<T>, after: (result: T) => unknown): Promise<T> => {
    const { who, caller, request } = currentActor() ?? fallback;
    const event: Omit<AuditEvent, "phase" | "old" | "new"> = {
      action: what.action,
      who: what.who ?? who,
      caller,
      request,
      gallery: what.gallery,
      reason: what.reason ?? null,
    };
    const of = await log.append({ phase: "begin", ...event, old: what.old, new: what.wanted });
    const end = (outcome: string, now: unknown): Promise<unknown> =>
      log
        .append({ phase: "end", ...event, old: what.old, new: now, of, outcome })
        // The log is not up from here on, which refuses the next change and shows in the figures.
        .catch(() => undefined);
    let result: T;
    try {
      result = await work();
    } catch (error) {
      await end(isProtolineError(error) ? error.code : "INTERNAL", null);
      throw error;
    }
    await end("done", after(result));
    return result;
  };
  const headOf = async (name: string) => revision((await store.gallery(name)).head);

  /** A change of a gallery that makes a revision. */
  const change = async (
    action: string,
    gallery: string,
    { who, reason }: { readonly who: string; readonly reason?: string },
    { old, wanted }: { readonly old?: object; readonly wanted: object },
    work: () => Promise<RevisionInfo>,
  ): Promise<RevisionInfo> =>
    around(
      { action, gallery, who, reason, old: { ...(await headOf(gallery)), ...old }, wanted },
      work,
      revision,
    );

  return {
    driver: store.driver,

    createGallery: (gallery) => {
      const { name, model, modelHash, dim, refresh, who } = gallery;
      const wanted = { name, model, modelHash, dim, refresh };
      return around(
        { action: "gallery.create", gallery: name, who, old: null, wanted },
        () => store.createGallery(gallery),
        ({ head }) => revision(head),
      );
    },
    removeGallery: async (name) =>
      around(
        { action: "gallery.remove", gallery: name, old: await headOf(name), wanted: null },
        () => store.removeGallery(name),
        () => null,
      ),
    setRefresh: async (name, refresh) =>
      around(
        {
          action: "gallery.refresh",
          gallery: name,
          old: (await store.gallery(name)).refresh,
          wanted: refresh,
        },
        () => store.setRefresh(name, refresh),
        () => refresh,
      ),

    addSamples: async (name, samples, details) => {
      const wanted = { samples: samples.length, classes: counts(samples.map(({ label }) => label)) };
      const { who, reason } = details;
      return around(
        { action: "samples.enroll", gallery: name, who, reason, old: await headOf(name), wanted },
        () => store.addSamples(name, samples, details),
        ({ added, duplicates, conflicts, revision: now, pending }) => ({
          ...revision(now),
          added: bounded(added.map(({ id, index }) => ({ id, content: samples[index]!.contentHash }))),
          duplicates: duplicates.length,
          conflicts: conflicts.length,
          pending,
        }),
      );
    },
    removeSamples: (name, ids, details) =>
      change("samples.remove", name, details, { wanted: { remove: bounded(ids) } }, () =>
        store.removeSamples(name, ids, details),
      ),
    renameClass: (name, from, to, details) =>
      change("class.rename", name, details, { old: { label: from }, wanted: { label: to } }, () =>
        store.renameClass(name, from, to, details),
      ),
    mergeClasses: (name, from, into, details) =>
      change("class.merge", name, details, { old: { labels: bounded(from) }, wanted: { label: into } }, () =>
        store.mergeClasses(name, from, into, details),
      ),
    removeClass: (name, label, details) =>
      change("class.remove", name, details, { old: { label }, wanted: { label: null } }, () =>
        store.removeClass(name, label, details),
      ),
    setDecision: async (name, decision, details) => {
      const old = { decision: (await store.snapshot(name)).decision };
      return change("decision.tune", name, details, { old, wanted: { decision } }, () =>
        store.setDecision(name, decision, details),
      );
    },
    replaceEmbeddings: async (name, replacement, details) => {
      const { model, modelHash } = await store.gallery(name);
      const wanted = { model: replacement.model, modelHash: replacement.modelHash };
      return change("model.promote", name, details, { old: { model, modelHash }, wanted }, () =>
        store.replaceEmbeddings(name, replacement, details),
      );
    },
    publish: async (name, details) => {
      const { pending } = await store.gallery(name);
      return change("gallery.publish", name, details, { wanted: { pending } }, () =>
        store.publish(name, details),
      );
    },
    rollback: (name, to, details) =>
      change("gallery.rollback", name, details, { wanted: { contentOf: to } }, () =>
        store.rollback(name, to, details),
      ),

    putApiKey: async (key) => {
      const before = (await store.apiKeys()).find(({ id }) => id === key.id);
      return around(
        { action: "key.create", gallery: null, old: before ? shown(before) : null, wanted: shown(key) },
        () => store.putApiKey(key),
        () => shown(key),
      );
    },
    removeApiKey: async (id) => {
      const before = (await store.apiKeys()).find((key) => key.id === id);
      return around(
        { action: "key.revoke", gallery: null, old: before ? shown(before) : null, wanted: { remove: id } },
        () => store.removeApiKey(id),
        (removed) => ({ removed }),
      );
    },

    galleries: () => store.galleries(),
    gallery: (name) => store.gallery(name),
    history: (name, limit) => store.history(name, limit),
    snapshot: (name, number) => store.snapshot(name, number),
    diff: (name, from, to) => store.diff(name, from, to),
    classStatistics: (name) => store.classStatistics(name),
    image: (name, id) => store.image(name, id),
    head: (name) => store.head(name),
    subscribe: (listener) => store.subscribe(listener),
    apiKeys: () => store.apiKeys(),
    close: () => store.close(),
  };
}
