import { sha256 } from "../core/index.ts";

/** JSON with the keys of every object sorted, so that equal values give equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** The order of labels everywhere in the store: by code units, whatever the place or the database. */
export function byLabel(a: { readonly label: string }, b: { readonly label: string }): number {
  return a.label < b.label ? -1 : a.label > b.label ? 1 : 0;
}

/** SHA-256 over the sorted content hashes of one class, a line each. */
export function classHash(contentHashes: readonly string[]): string {
  return sha256([...contentHashes].sort().join("\n"));
}

/**
 * Names the content of a revision: SHA-256 over the model's hash, the decision, and the classes sorted by label,
 * each with its {@link classHash}. The two levels let a change pay for the classes it touches and not for all samples.
 */
export function revisionHash(
  modelHash: string,
  decision: unknown,
  classes: readonly { readonly label: string; readonly hash: string }[],
): string {
  const sorted = [...classes].sort(byLabel).map(({ label, hash }) => [label, hash]);
  return sha256(canonicalJson([modelHash, decision, sorted]));
}

/** {@link revisionHash} from the samples of a revision. */
export function contentHashOf(
  modelHash: string,
  decision: unknown,
  samples: readonly { readonly label: string; readonly contentHash: string }[],
): string {
  const classes = new Map<string, string[]>();
  for (const { label, contentHash } of samples) {
    const hashes = classes.get(label);
    if (hashes) hashes.push(contentHash);
    else classes.set(label, [contentHash]);
  }
  return revisionHash(
    modelHash,
    decision,
    [...classes].map(([label, hashes]) => ({ label, hash: classHash(hashes) })),
  );
}
