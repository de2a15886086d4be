import type { DriftReply } from "../../../src/server/protocol-monitor.ts";
import { of } from "../api.ts";
import { useConsole } from "../context.ts";
import { decimal, percent, statistic } from "../format.ts";
import { Picture } from "./picture.tsx";

type Summary = NonNullable<DriftReply["reference"]["summary"]>;
type Pictures = DriftReply["pictures"]["reference"];

/** Frames of the reference beside those of the last window that alarmed, answer by answer. */
export function DriftPictures({ drift }: { drift: DriftReply }) {
  const { t, language } = useConsole();
  const { alarmed, reference } = drift.pictures;
  const before = drift.reference.summary;
  const after = alarmed && drift.judged.find(({ frame }) => frame === alarmed.frame);
  if (!alarmed || !before || !after) return null;
  const share = ({ answers }: Summary, label: string | null): number =>
    (answers.find((one) => one.label === label)?.frames ?? 0) /
    answers.reduce((sum, { frames }) => sum + frames, 0);
  // What has changed most first.
  const labels = [...new Set([...before.answers, ...after.answers].map(({ label }) => label))].sort(
    (a, b) => Math.abs(share(after, b) - share(before, b)) - Math.abs(share(after, a) - share(before, a)),
  );
  return (
    <section className="card grid grid-cols-[minmax(0,1fr)] gap-3" aria-label={t.drift.pictures}>
      <div>
        <h2>{t.drift.pictures}</h2>
        <p className="hint">{t.drift.picturesLead(alarmed.frame)}</p>
      </div>
      <ul className="grid gap-4">
        {labels.map((label) => {
          const moved = after.findings.find((one) => one.test === "classMean" && one.label === label);
          const name = label ?? t.kind.unknown;
          return (
            <li key={label} className="grid gap-2 border-t border-rule pt-3">
              <h3 className={`flex flex-wrap items-center gap-2 ${label === null ? "text-unknown" : ""}`}>
                <span className="wrap-anywhere">{name}</span>
                {moved && (
                  <span className={`mark ${moved.alarm ? "text-unknown" : "text-quiet"}`}>
                    {t.drift.moved(statistic(moved.statistic, language, 1))}
                  </span>
                )}
              </h3>
              <div className="grid grid-cols-2 gap-4">
                <Side
                  title={t.drift.before(percent(share(before, label), language))}
                  name={name}
                  pictures={reference.filter((one) => one.label === label)}
                />
                <Side
                  title={t.drift.after(percent(share(after, label), language))}
                  name={name}
                  pictures={alarmed.pictures.filter((one) => one.label === label)}
                />
              </div>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Side({ title, name, pictures }: { title: string; name: string; pictures: Pictures }) {
  const { t, gallery, language } = useConsole();
  return (
    <div>
      <p className="hint mb-1 tabular-nums">{title}</p>
      <ul className="grid grid-cols-[repeat(auto-fill,minmax(4.5rem,1fr))] gap-2">
        {pictures.map(({ id, distance }) => (
          <li key={id}>
            <Picture
              path={of(gallery!, "drift", "pictures", id)}
              alt={`${name}, ${t.drift.at(decimal(distance, language))}`}
              className="aspect-square w-full rounded-md bg-raised object-cover"
            />
          </li>
        ))}
      </ul>
    </div>
  );
}
