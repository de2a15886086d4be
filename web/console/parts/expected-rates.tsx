import type { QualityReply } from "../../../src/server/protocol.ts";
import { of } from "../api.ts";
import { textOf, useConsole, useLoad } from "../context.ts";
import { statedRate, useTakeRate } from "../decision.ts";
import { percent } from "../format.ts";

type Expected = NonNullable<QualityReply["expected"]>;
type Share = Expected["rates"][number]["falseReject"];

interface ExpectedRatesProps {
  /** Of the gallery now. */
  readonly revision: number;
  /** The false-reject rate of its decision. */
  readonly stated: number;
}

/** Both rates that are to be expected of new frames, at each rate that can be taken, and who lets strangers in. */
export function ExpectedRates({ revision, stated }: ExpectedRatesProps) {
  const { t, api, gallery, changes } = useConsole();
  // Takes long in a large gallery: the rest of the page is there before it, and what was expected before stays meanwhile.
  const { value, error } = useLoad(
    () => api.get<QualityReply>(of(gallery!, "quality")),
    [gallery, changes, revision],
  );
  const expected = value?.expected;
  const old = value !== undefined && value.revision !== revision;
  return (
    <section className="card grid grid-cols-[minmax(0,1fr)] gap-3" aria-labelledby="expected">
      <h2 id="expected">{t.expected.title}</h2>
      {error !== undefined ? (
        <p role="alert">{textOf(error, t)}</p>
      ) : (
        <div role="status">
          {expected && <Sentence expected={expected} stated={stated} />}
          {(!expected || old) && <p className="hint">{t.expected.computing}</p>}
        </div>
      )}
      {expected && (
        <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-x-8 gap-y-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
          <RateTable expected={expected} stated={stated} />
          {expected.strangers.length > 0 && <Strangers strangers={expected.strangers} />}
        </div>
      )}
    </section>
  );
}

const shareOf = ({ hits, of: all }: Share): number => hits / all;

function Sentence({ expected, stated }: { readonly expected: Expected; readonly stated: number }) {
  const { t, language } = useConsole();
  const at = expected.rates.find((rate) => rate.stated === stated);
  // Of a rate that was taken just now, the server will tell.
  if (!at) return null;
  const rejected = at.falseReject.of > 0 ? percent(shareOf(at.falseReject), language) : null;
  return (
    <p className="max-w-4xl text-lg">
      {rejected === null
        ? t.quality.empty
        : at.caught
          ? t.expected.both(percent(shareOf(at.caught), language), rejected)
          : t.expected.oneClass(rejected)}
    </p>
  );
}

/** A share with its interval and its counts. */
function ShareView({ share }: { readonly share: Share }) {
  const { t, language } = useConsole();
  const { hits, of: all, interval } = share;
  if (all === 0) return <>–</>;
  return (
    <>
      {percent(shareOf(share), language)}
      <span className="hint block whitespace-nowrap">
        {hits} / {all}, {t.quality.interval(percent(interval[0], language), percent(interval[1], language))}
      </span>
    </>
  );
}

function RateTable({ expected, stated }: { readonly expected: Expected; readonly stated: number }) {
  const { t, language, can } = useConsole();
  const [busy, take] = useTakeRate();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className="relative overflow-x-auto" tabIndex={0} aria-label={t.expected.title}>
      <table className="data">
        <thead>
          <tr className="align-bottom">
            <th scope="col">{t.expected.stated}</th>
            <th scope="col">{t.expected.caught}</th>
            <th scope="col">{t.expected.rejected}</th>
            <td className="border-0!" />
          </tr>
        </thead>
        <tbody>
          {expected.rates.map((rate) => (
            <tr
              key={rate.stated}
              className={`align-top ${rate.stated === stated ? "bg-raised" : ""}`}
              aria-current={rate.stated === stated ? "true" : undefined}
            >
              <th scope="row" className="border-t border-rule text-ink!">
                {statedRate(rate.stated, language)}
              </th>
              <td>{rate.caught ? <ShareView share={rate.caught} /> : "–"}</td>
              <td>
                <ShareView share={rate.falseReject} />
              </td>
              <td className="text-right whitespace-nowrap">
                {rate.stated === stated ? (
                  <span className="mark text-accent">{t.expected.inUse}</span>
                ) : (
                  can("edit") && (
                    <button
                      type="button"
                      className="button small"
                      disabled={busy}
                      onClick={() => void take(rate.stated)}
                    >
                      {t.expected.take}
                      <span className="sr-only"> {statedRate(rate.stated, language)}</span>
                    </button>
                  )
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="hint mt-2">{t.expected.basis(expected.pictures, expected.classes)}</p>
    </section>
  );
}

function Strangers({ strangers }: { readonly strangers: Expected["strangers"] }) {
  const { t } = useConsole();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className="relative overflow-x-auto" tabIndex={0} aria-labelledby="strangers">
      <h3 id="strangers">{t.expected.strangers}</h3>
      <p className="hint">{t.expected.strangersLead}</p>
      <table className="data">
        <thead>
          <tr className="align-bottom">
            <th scope="col">{t.expected.stranger}</th>
            <th scope="col">{t.expected.strangerCaught}</th>
            <th scope="col">{t.expected.takenBy}</th>
          </tr>
        </thead>
        <tbody>
          {strangers.map(({ label, caught, takenBy }) => (
            <tr key={label} className="align-top">
              <th scope="row" className="border-t border-rule text-ink! wrap-anywhere">
                {label}
              </th>
              <td className="whitespace-nowrap">
                {caught.hits} / {caught.of}
              </td>
              <td className={takenBy ? "text-unknown wrap-anywhere" : ""}>
                {takenBy ? t.expected.taken(takenBy.label, takenBy.pictures) : "–"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
