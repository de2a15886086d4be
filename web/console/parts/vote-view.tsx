import { useState } from "react";
import { useConsole } from "../context.ts";
import type { Answered } from "../live-loop.ts";
import { vote } from "../vote.ts";

interface VoteViewProps {
  /** Newest first. */
  readonly answers: readonly Answered[];
  /** When the part at hand came; frames before it are of another one. */
  readonly since: number;
  onNext(): void;
}

/** N of M: what the last frames of one part agree on. */
export function VoteView({ answers, since, onNext }: VoteViewProps) {
  const { t } = useConsole();
  const [n, setN] = useState(3);
  const [m, setM] = useState(5);
  const [newest] = answers;
  const labels = answers
    // Of a line: what another camera sent, or of another part, has no vote.
    .filter(({ id, from, part }) => id >= since && from === newest?.from && part === newest.part)
    .reverse()
    .map(({ answer }) => (answer.kind === "known" ? answer.label : null));
  const { label, votes, of } = vote(labels, { n, m });
  const field = (name: string, value: number, least: number, most: number, set: (value: number) => void) => (
    <input
      type="number"
      aria-label={name}
      className="field w-16"
      min={least}
      max={most}
      value={value}
      onChange={(event) => {
        const next = event.target.valueAsNumber;
        if (next >= least && next <= most) set(next);
      }}
    />
  );
  return (
    <section className="card grid gap-3" aria-label={t.live.vote}>
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h2>{t.live.vote}</h2>
        <button type="button" className="button small" onClick={onNext}>
          {t.live.newPart}
        </button>
      </div>
      <p className={`text-xl font-semibold wrap-anywhere ${label === null ? "text-quiet" : "text-known"}`}>
        {label ?? t.live.undecided}
      </p>
      <ul className="flex flex-wrap gap-x-4 text-sm">
        {[...votes].map(([name, count]) => (
          <li key={name}>
            {name}: {count} / {of}
          </li>
        ))}
      </ul>
      <div className="flex flex-wrap items-center gap-2">
        {field(t.live.voteN, n, 1, m, setN)}
        <span className="hint">/</span>
        {field(t.live.voteM, m, n, 12, setM)}
        <span className="hint">{t.live.voteRule(n, m)}</span>
      </div>
    </section>
  );
}
