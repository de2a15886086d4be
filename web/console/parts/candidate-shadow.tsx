import type { CandidateReply } from "../../../src/server/protocol-candidate.ts";
import { of } from "../api.ts";
import { useConsole } from "../context.ts";
import { clock, percent } from "../format.ts";
import { kindColour } from "./answer.tsx";
import { Picture } from "./picture.tsx";

type Shadow = NonNullable<CandidateReply["shadow"]>;
type Answer = Shadow["differences"][number]["current"];

/** What the candidate answers to live frames, and where that is something else. */
export function CandidateShadow({ shadow }: { shadow: Shadow }) {
  const { t, gallery, language } = useConsole();
  const words = t.candidate;
  const { frames, same, different, skipped, failed, changes, differences } = shadow;
  /** Name, frames, colour, and whether they are a share of the frames that both answered. */
  const counts: readonly (readonly [string, number, string, boolean])[] = [
    [words.same, same, "text-known", true],
    [words.different, different, different > 0 ? "text-ambiguous" : "text-ink", true],
    [words.skipped, skipped, "text-quiet", false],
    ...(failed > 0 ? [[words.failed, failed, "text-unknown", false] as const] : []),
  ];
  return (
    <section className="card grid grid-cols-[minmax(0,1fr)] gap-4" aria-labelledby="shadow">
      <div>
        <h2 id="shadow">{words.shadow}</h2>
        <p className="hint max-w-3xl">{words.shadowLead}</p>
      </div>
      <dl className="flex flex-wrap gap-x-8 gap-y-2 tabular-nums">
        {counts.map(([name, count, colour, shared]) => (
          <div key={name}>
            <dt className="hint">{name}</dt>
            <dd className={`text-xl font-semibold ${colour}`}>
              {count}
              {shared && frames > 0 && (
                <span className="hint ml-2 font-normal">{percent(count / frames, language, 1)}</span>
              )}
            </dd>
          </div>
        ))}
      </dl>
      {frames === 0 && (
        <p>
          {words.noFrames}{" "}
          <a className="underline" href={`#/live/${encodeURIComponent(gallery!)}`}>
            {t.pages.live}
          </a>
        </p>
      )}
      {changes.length > 0 && (
        <div>
          <h3>{words.changes}</h3>
          <ul className="list-disc pl-5 text-sm">
            {changes.map(({ from, to, frames: count }) => (
              <li key={`${from} ${to}`}>
                {from === to ? words.known : words.change(t.kind[from], t.kind[to])}: {t.count.frames(count)}
              </li>
            ))}
          </ul>
        </div>
      )}
      {differences.length > 0 && (
        <div className="grid gap-2">
          <h3>{words.differences}</h3>
          <ul className="grid grid-cols-[repeat(auto-fill,minmax(9rem,1fr))] gap-4">
            {differences.map(({ id, time, current, candidate }) => (
              <li key={id} className="grid content-start gap-1 text-sm">
                <Picture
                  path={of(gallery!, "candidate", "frames", id)}
                  alt={clock(time, language)}
                  className="aspect-square w-full rounded-md bg-raised object-cover"
                />
                <p className="hint">{clock(time, language)}</p>
                <Said by={words.now} answer={current} />
                <Said by={words.candidate} answer={candidate} />
              </li>
            ))}
          </ul>
        </div>
      )}
    </section>
  );
}

function Said({ by, answer: { kind, nearest, confidence } }: { by: string; answer: Answer }) {
  const { t, language } = useConsole();
  return (
    <p className="wrap-anywhere">
      <span className="hint block">{by}</span>
      <span className={kindColour[kind]}>
        {t.candidate.said[kind](nearest, percent(confidence, language))}
      </span>
    </p>
  );
}
