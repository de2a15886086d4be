import type { CandidateReply } from "../../../src/server/protocol-candidate.ts";
import { useConsole } from "../context.ts";
import { chance, list, percent } from "../format.ts";
import type { Rate } from "../rates.ts";

type Comparison = NonNullable<CandidateReply["comparison"]>;
type Compared = NonNullable<Comparison["heldOut"]>;
type Change = Compared["change"];

/** Beyond chance is what comes by chance in so few of 1 cases; as the server says `worse`. */
const level = 0.05;

const verdictOf = ({ lost, gained, pValue }: Change): "better" | "worse" | "same" =>
  pValue > level || lost === gained ? "same" : gained > lost ? "better" : "worse";

/** Whole class names, as the style sheet is made of what stands in the source. */
const verdictColour = { better: "text-known", worse: "text-unknown", same: "text-quiet" } as const;

/** The candidate beside the gallery as it is, on the same pictures. */
export function CandidateComparison({ comparison: { heldOut, leftOut } }: { comparison: Comparison }) {
  const { t, gallery } = useConsole();
  const words = t.candidate;
  const holdout = `${gallery}.holdout`;
  return (
    <section className="card grid grid-cols-[minmax(0,1fr)] gap-6" aria-labelledby="compare">
      <h2 id="compare">{words.compare}</h2>
      {!heldOut && !leftOut && <p>{words.uncompared}</p>}
      <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-6 xl:grid-cols-2">
        {heldOut && (
          <Pictures
            title={words.heldOut}
            lead={words.heldOutLead(holdout, t.count.pictures(heldOut.pictures))}
            compared={heldOut}
            strangers
          />
        )}
        {leftOut && (
          <Pictures
            title={words.leftOut}
            lead={words.leftOutLead(t.count.pictures(leftOut.pictures))}
            compared={leftOut}
          />
        )}
        {!heldOut && (
          <div>
            <h3>{words.heldOut}</h3>
            <p className="hint">{words.noHeldOut(holdout)}</p>
          </div>
        )}
      </div>
    </section>
  );
}

interface PicturesProps {
  readonly title: string;
  readonly lead: string;
  readonly compared: Compared;
  /** Whether pictures of classes that the gallery does not have may be among them. */
  readonly strangers?: boolean;
}

function Pictures({ title, lead, compared, strangers = false }: PicturesProps) {
  const { t } = useConsole();
  const words = t.candidate;
  const { current, candidate, change } = compared;
  const verdict = verdictOf(change);
  const measures = [
    ["right", words.right],
    ["falseReject", t.quality.falseReject],
    ["falseAccept", t.quality.falseAccept],
  ] as const;
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <div>
        <h3 className="flex flex-wrap items-center gap-2">
          {title}
          <span className={`mark ${verdictColour[verdict]}`}>{words.verdict[verdict]}</span>
        </h3>
        <p className="hint wrap-anywhere">{lead}</p>
      </div>
      <table className="data">
        <thead>
          <tr>
            <th scope="col">{words.measure}</th>
            <th scope="col">{words.now}</th>
            <th scope="col">{words.candidate}</th>
          </tr>
        </thead>
        <tbody>
          {measures
            .filter(([name]) => candidate[name].of > 0)
            .map(([name, said]) => (
              <tr key={name}>
                <th scope="row" className="border-t border-rule align-top text-ink!">
                  {said}
                </th>
                <td className="align-top">
                  <RateView rate={current[name]} colour="bg-quiet" />
                </td>
                <td className="align-top">
                  <RateView rate={candidate[name]} colour="bg-accent" />
                </td>
              </tr>
            ))}
        </tbody>
      </table>
      {strangers && candidate.falseAccept.of === 0 && <p className="hint">{words.noStrangers}</p>}
      <Changed {...change} />
    </div>
  );
}

/** The share, and below it where the true one lies. */
function RateView({ rate: { hits, of: all, interval }, colour }: { rate: Rate; colour: string }) {
  const { t, language } = useConsole();
  const [low, high] = interval;
  return (
    <>
      <span className="text-lg font-semibold">{percent(hits / all, language, 1)}</span>
      <span className="relative my-1 block h-1.5 rounded-full bg-raised" aria-hidden="true">
        <span
          className={`absolute h-full rounded-full ${colour}`}
          style={{ left: `${100 * low}%`, width: `${Math.max(2, 100 * (high - low))}%` }}
        />
      </span>
      <span className="hint block">
        {hits} / {all}
      </span>
      <span className="hint block">
        {t.quality.interval(percent(low, language), percent(high, language))}
      </span>
    </>
  );
}

/** Which pictures changed, and how easily chance alone would change as many, in words. */
function Changed({ lost, gained, pValue }: Change) {
  const { t, language } = useConsole();
  const words = t.candidate;
  if (lost + gained === 0) return <p className="text-sm">{words.unchanged}</p>;
  const told = chance(pValue, language);
  const p = told.startsWith("<") ? told : `= ${told}`;
  // As many of a hundred or of a thousand as make a number that can be imagined.
  const of = pValue >= 0.01 ? 100 : 1000;
  const n = Math.round(of * pValue);
  return (
    <div className="text-sm">
      <p>
        {list(
          [...(gained > 0 ? [words.gained(gained)] : []), ...(lost > 0 ? [words.lost(lost)] : [])],
          language,
        )}
      </p>
      <p className="hint">{n === 0 ? words.hardlyByChance(p) : words.byChance(n, of, p)}</p>
    </div>
  );
}
