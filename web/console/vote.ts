/** N of M: the part is what at least `n` of its last `m` frames say; `null` while they do not agree. */
export function vote(
  answers: readonly (string | null)[],
  { n, m }: { readonly n: number; readonly m: number },
): { readonly label: string | null; readonly votes: ReadonlyMap<string, number>; readonly of: number } {
  const last = answers.slice(-m);
  const votes = new Map<string, number>();
  for (const label of last) if (label !== null) votes.set(label, (votes.get(label) ?? 0) + 1);
  const [best] = [...votes].sort(([, a], [, b]) => b - a);
  return { label: best && best[1] >= n ? best[0] : null, votes, of: last.length };
}
