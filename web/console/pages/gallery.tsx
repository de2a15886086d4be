import { useState } from "react";
import type { ClassesReply, QualityReply, SamplesReply } from "../../../src/server/protocol.ts";
import { of } from "../api.ts";
import { textOf, useAction, useConsole, useLoad } from "../context.ts";
import { limitSentences, paragraph } from "../limit-text.ts";
import { AddPictures } from "../parts/add-pictures.tsx";
import { ClassDialog } from "../parts/class-dialog.tsx";
import { FirstRun } from "../parts/first-run.tsx";
import { SamplePicture } from "../parts/picture.tsx";

type Class = ClassesReply["classes"][number];
type Sample = SamplesReply["samples"][number];
type Verdict = QualityReply["classes"][number]["verdict"];

/** Whole class names, as the style sheet is made of what stands in the source. */
export const verdictColour = {
  good: "text-known",
  watch: "text-ambiguous",
  bad: "text-unknown",
} as const satisfies Record<Verdict, string>;
/** Fewer pictures than this are few. */
const few = 5;

export function GalleryPage() {
  const { t, api, gallery, galleries, changes, can, changed } = useConsole();
  const [adding, setAdding] = useState<{ label: string } | null>(null);
  const [shown, setShown] = useState<string | null>(null);
  const [busy, run] = useAction();
  const { value, error, reload } = useLoad(async () => {
    if (gallery === null) return { classes: [], samples: [] };
    const [{ classes }, { samples }] = await Promise.all([
      api.get<ClassesReply>(of(gallery, "classes")),
      api.get<SamplesReply>(of(gallery, "samples")),
    ]);
    return { classes, samples };
  }, [gallery, changes]);

  // Takes longer in a large gallery: the classes are there before it.
  const quality = useLoad(
    async () => (gallery === null ? null : api.get<QualityReply>(`${of(gallery, "quality")}?expected=false`)),
    [gallery, changes],
  );
  const verdicts = new Map(quality.value?.classes.map(({ label, verdict }) => [label, verdict]));

  if (error !== undefined && !value)
    return (
      <div className="card grid gap-3" role="alert">
        <p>{textOf(error, t)}</p>
        <button type="button" className="button justify-self-start" onClick={reload}>
          {t.retry}
        </button>
      </div>
    );
  if (!value) return <p>{t.loading}</p>;

  const info = galleries.find(({ name }) => name === gallery);
  const pending = info?.pending ?? 0;
  const dialogs = (
    <>
      {adding && (
        <AddPictures
          label={adding.label}
          labels={value.classes.map(({ label }) => label)}
          onClose={() => setAdding(null)}
        />
      )}
      {shown !== null && value.classes.some(({ label }) => label === shown) && (
        <ClassDialog
          label={shown}
          labels={value.classes.map(({ label }) => label)}
          samples={value.samples.filter(({ label }) => label === shown)}
          limit={value.classes.find(({ label }) => label === shown)?.limit ?? null}
          onClose={() => setShown(null)}
          onAdd={() => {
            setShown(null);
            setAdding({ label: shown });
          }}
        />
      )}
    </>
  );
  if (value.classes.length === 0 && pending === 0)
    return (
      <>
        <FirstRun onAdd={() => setAdding({ label: "" })} />
        {dialogs}
      </>
    );
  return (
    <>
      <div className="mb-6 flex flex-wrap items-center justify-between gap-3">
        <div>
          <h1>{t.pages.gallery}</h1>
          <p className="hint">
            {t.gallery.head(
              t.count.classes(value.classes.length),
              t.count.pictures(value.samples.length),
              info?.head.number ?? 0,
            )}
          </p>
        </div>
        {can("enroll") && (
          <button type="button" className="button primary" onClick={() => setAdding({ label: "" })}>
            {t.gallery.add}
          </button>
        )}
      </div>
      {pending > 0 && (
        <div className="card mb-4 flex flex-wrap items-center gap-3">
          <p className="flex-1">{t.gallery.waiting(pending)}</p>
          {can("enroll") && (
            <button
              type="button"
              className="button small"
              disabled={busy}
              onClick={() =>
                run(async () => {
                  await api.send("POST", of(gallery!, "publish"));
                  await changed();
                })
              }
            >
              {t.gallery.publish}
            </button>
          )}
        </div>
      )}
      <ul className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,17rem),1fr))] gap-4">
        {value.classes.map((it) => (
          <li key={it.label}>
            <ClassCard
              it={it}
              verdict={verdicts.get(it.label)}
              samples={value.samples.filter(({ label }) => label === it.label)}
              onOpen={() => setShown(it.label)}
            />
          </li>
        ))}
      </ul>
      {dialogs}
    </>
  );
}

interface CardProps {
  readonly it: Class;
  readonly verdict: Verdict | undefined;
  readonly samples: readonly Sample[];
  onOpen(): void;
}

function ClassCard({ it, verdict, samples, onOpen }: CardProps) {
  const { t, language } = useConsole();
  const mark =
    it.samples < few
      ? ([t.gallery.few, "text-ambiguous"] as const)
      : verdict && ([t.quality.verdicts[verdict], verdictColour[verdict]] as const);
  return (
    <button type="button" className="card grid w-full gap-3 text-left hover:border-accent" onClick={onOpen}>
      <span className="grid grid-cols-4 gap-1.5">
        {samples.slice(-4).map(({ id }) => (
          <SamplePicture
            key={id}
            id={id}
            alt=""
            className="aspect-square w-full rounded-md bg-raised object-cover"
          />
        ))}
      </span>
      <span className="grid gap-1">
        <span className="text-lg font-semibold wrap-anywhere">{it.label}</span>
        <span className="flex flex-wrap items-center justify-between gap-2">
          <span className="hint">{t.count.pictures(it.samples)}</span>
          {mark && <span className={`mark ${mark[1]}`}>{mark[0]}</span>}
        </span>
        {it.limit && (
          <span className="hint">
            {paragraph(limitSentences({ ...it.limit, rates: null }, t, language), language)}
          </span>
        )}
      </span>
    </button>
  );
}
