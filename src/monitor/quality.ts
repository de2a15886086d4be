import { type Count, wilson } from "./rates.ts";

/** What a picture of the gallery is told when it is left out of it. */
export interface LeftOutAnswer {
  /** Its class. */
  readonly label: string;
  /** Its name, for the reader. */
  readonly origin: string;
  readonly kind: "known" | "unknown" | "ambiguous";
  /** The class that it comes nearest to, whether the answer names it or not. */
  readonly nearest: string;
  /** Of its own class, 0 … 1. */
  readonly confidence: number;
}

/** A count with the interval that holds the true rate in about 95 of 100 cases. */
export interface CountedRate extends Count {
  readonly interval: readonly [number, number];
}

export interface ClassQuality {
  readonly label: string;
  readonly pictures: number;
  /** Pictures that are named right when they are left out. */
  readonly right: CountedRate;
  readonly wrong: CountedRate;
  readonly unknown: CountedRate;
  readonly ambiguous: CountedRate;
  /** Mean confidence in the own class, 0 … 1; 0 where no picture could be left out. */
  readonly meanConfidence: number;
  /** The class that most of its pictures that are not right come nearest to, and how many. */
  readonly confusable: { readonly label: string; readonly pictures: number } | null;
  readonly verdict: "good" | "watch" | "bad";
  /** What to do, a sentence; `null` for a good class. */
  readonly todo: string | null;
}

/** Fewer pictures than this leave the figures open. */
const enoughPictures = 5;
const fullPictures = 10;
/** Share of pictures that are right when left out: at least this is good, below the other bad. */
const goodShare = 0.9;
const badShare = 0.7;

/**
 * How good each class is, from leaving each of its pictures out, sorted from the worst.
 *
 * @param pictures of every class, also of those with a single picture, which cannot be left out.
 */
export function classQuality(
  answers: readonly LeftOutAnswer[],
  pictures: ReadonlyMap<string, number>,
): readonly ClassQuality[] {
  const order = { bad: 0, watch: 1, good: 2 } as const;
  return [...pictures]
    .map(([label, n]) =>
      judge(
        label,
        n,
        answers.filter((answer) => answer.label === label),
      ),
    )
    .sort(
      (a, b) =>
        order[a.verdict] - order[b.verdict] ||
        share(a.right) - share(b.right) ||
        a.label.localeCompare(b.label),
    );
}

const share = ({ hits, of }: Count): number => (of === 0 ? 0 : hits / of);

function judge(label: string, pictures: number, own: readonly LeftOutAnswer[]): ClassQuality {
  const counted = (hit: (answer: LeftOutAnswer) => boolean): CountedRate => {
    const count = { hits: own.filter(hit).length, of: own.length };
    return { ...count, interval: wilson(count) };
  };
  const isRight = ({ kind, nearest }: LeftOutAnswer): boolean => kind === "known" && nearest === label;
  const right = counted(isRight);
  const others = new Map<string, number>();
  for (const answer of own)
    if (!isRight(answer) && answer.nearest !== label)
      others.set(answer.nearest, (others.get(answer.nearest) ?? 0) + 1);
  const [most] = [...others].sort(([a, n], [b, m]) => m - n || a.localeCompare(b));
  const quality = {
    label,
    pictures,
    right,
    wrong: counted(({ kind, nearest }) => kind === "known" && nearest !== label),
    unknown: counted(({ kind }) => kind === "unknown"),
    ambiguous: counted(({ kind }) => kind === "ambiguous"),
    meanConfidence: own.reduce((sum, { confidence }) => sum + confidence / own.length, 0),
    confusable: most ? { label: most[0], pictures: most[1] } : null,
  };
  const few = pictures < enoughPictures;
  const rate = share(right);
  const verdict =
    own.length > 0 && !few && rate < badShare ? "bad" : few || rate < goodShare ? "watch" : "good";
  return { ...quality, verdict, todo: verdict === "good" ? null : advice(quality, own, isRight) };
}

function advice(
  { label, pictures, right, wrong, unknown, ambiguous, confusable }: Omit<ClassQuality, "verdict" | "todo">,
  own: readonly LeftOutAnswer[],
  isRight: (answer: LeftOutAnswer) => boolean,
): string {
  if (pictures < enoughPictures)
    return `It has ${pictures} of about ${fullPictures} pictures: show ${fullPictures - pictures} more.`;
  const named = (some: readonly LeftOutAnswer[]): string =>
    some
      .slice(0, 3)
      .map(({ origin }) => origin)
      .join(", ") + (some.length > 3 ? ", …" : "");
  const off = own.filter((answer) => !isRight(answer));
  const toOther = off.filter(({ nearest }) => nearest === confusable?.label);
  if (confusable && wrong.hits >= unknown.hits && wrong.hits + ambiguous.hits > 0)
    return `${toOther.length} of ${right.of} pictures are nearer to "${confusable.label}" (${named(toOther)}): are they in the right class? If so, show pictures of both that make the difference plain.`;
  if (unknown.hits >= ambiguous.hits) {
    const strangers = own.filter(({ kind }) => kind === "unknown");
    return `${unknown.hits} of ${unknown.of} pictures fit nothing when they are left out (${named(strangers)}): show more pictures like them, or make them a class of their own.`;
  }
  return `${ambiguous.hits} of ${ambiguous.of} pictures lie between "${label}" and ${confusable ? `"${confusable.label}"` : "another class"}: show pictures of both that make the difference plain, or merge the two.`;
}
