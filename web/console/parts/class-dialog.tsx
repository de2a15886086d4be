import { useState } from "react";
import type { ClassesReply, RevisionReply, SamplesReply } from "../../../src/server/protocol.ts";
import type { MoveReply } from "../../../src/server/protocol-console.ts";
import { of } from "../api.ts";
import { useAction, useConsole } from "../context.ts";
import { removeSamples, rollBack } from "../enroll.ts";
import { limitSentences, paragraph } from "../limit-text.ts";
import { Ask, Dialog } from "./dialog.tsx";
import { SamplePicture } from "./picture.tsx";

interface ClassDialogProps {
  readonly label: string;
  /** Of all classes. */
  readonly labels: readonly string[];
  readonly samples: SamplesReply["samples"];
  /** Where it ends; `null` where that is not known. */
  readonly limit: ClassesReply["classes"][number]["limit"];
  onClose(): void;
  onAdd(): void;
}

/** One class: its pictures, and what can be done with it; each change can be undone. */
export function ClassDialog({ label, labels, samples, limit, onClose, onAdd }: ClassDialogProps) {
  const { t, api, gallery, language, can, changed, say } = useConsole();
  const [busy, run] = useAction();
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [asking, setAsking] = useState<"rename" | "merge" | "move" | null>(null);
  const name = gallery!;
  const path = of(name, "classes", label);
  const others = labels.filter((other) => other !== label);
  const chosen = samples.filter(({ id }) => selected.has(id)).map(({ id }) => id);

  /** Makes a change, closes, says so and offers the way back. */
  const change = (text: string, work: () => Promise<{ readonly to: number; readonly from: number }>) =>
    run(async () => {
      const revisions = await work();
      setAsking(null);
      onClose();
      await changed();
      say(text, () => rollBack(api, name, { ...revisions, late: t.undoLate }));
    });
  const after = ({ number, parent }: RevisionReply) => ({ from: number, to: parent ?? 0 });

  if (asking === "rename")
    return (
      <Ask
        title={t.gallery.renameTitle(label)}
        label={t.gallery.newName}
        value={label}
        button={t.gallery.rename}
        onClose={() => setAsking(null)}
        onAnswer={(to) =>
          change(t.gallery.renamed(label, to), async () =>
            after(await api.send("PATCH", path, { label: to })),
          )
        }
      />
    );
  if (asking === "merge")
    return (
      <Ask
        title={t.gallery.mergeTitle(label)}
        label={t.gallery.mergeInto}
        names={others}
        button={t.gallery.merge}
        onClose={() => setAsking(null)}
        onAnswer={(into) =>
          change(t.gallery.merged(label, into), async () =>
            after(await api.send("POST", of(name, "merge"), { from: [label], into })),
          )
        }
      />
    );
  if (asking === "move")
    return (
      <Ask
        title={t.gallery.moveTitle}
        label={t.add.label}
        names={others}
        hint={t.add.labelHint}
        button={t.gallery.move}
        onClose={() => setAsking(null)}
        onAnswer={(into) =>
          change(t.gallery.moved(chosen.length, into), async () => {
            const { before, revision } = await api.send<MoveReply>("POST", of(name, "samples", "move"), {
              id: chosen,
              into,
            });
            return { to: before, from: revision.number };
          })
        }
      />
    );
  return (
    <Dialog title={label} wide onClose={onClose}>
      <div className="mb-4 flex flex-wrap gap-2">
        {can("enroll") && (
          <button type="button" className="button primary small" onClick={onAdd}>
            {t.gallery.add}
          </button>
        )}
        {can("edit") && (
          <>
            <button type="button" className="button small" onClick={() => setAsking("rename")}>
              {t.gallery.rename}
            </button>
            {others.length > 0 && (
              <button type="button" className="button small" onClick={() => setAsking("merge")}>
                {t.gallery.merge}
              </button>
            )}
            <button
              type="button"
              className="button small danger"
              disabled={busy}
              onClick={() =>
                change(t.gallery.removed(label), async () => after(await api.send("DELETE", path)))
              }
            >
              {t.gallery.removeClass}
            </button>
          </>
        )}
      </div>
      {limit && <p className="mb-4 max-w-3xl">{paragraph(limitSentences(limit, t, language), language)}</p>}
      <ul className="grid grid-cols-[repeat(auto-fill,minmax(7rem,1fr))] gap-3">
        {samples.map(({ id, origin }) => {
          const picture = (
            <SamplePicture
              id={id}
              alt={origin}
              className="aspect-square w-full rounded-md bg-raised object-cover"
            />
          );
          return (
            <li key={id}>
              {can("edit") ? (
                <label className="relative block cursor-pointer rounded-md has-checked:outline-3 has-checked:outline-accent">
                  <input
                    type="checkbox"
                    className="absolute top-1.5 left-1.5 size-5 accent-accent"
                    aria-label={t.gallery.select(origin)}
                    checked={selected.has(id)}
                    onChange={() => {
                      const next = new Set(selected);
                      if (!next.delete(id)) next.add(id);
                      setSelected(next);
                    }}
                  />
                  {picture}
                </label>
              ) : (
                picture
              )}
              <p className="hint truncate" title={origin}>
                {origin}
              </p>
            </li>
          );
        })}
      </ul>
      {chosen.length > 0 && (
        <div className="sticky bottom-0 mt-4 flex flex-wrap items-center gap-2 border-t border-rule bg-surface pt-3">
          <p className="flex-1" role="status">
            {t.gallery.selected(chosen.length)}
          </p>
          <button type="button" className="button small" onClick={() => setAsking("move")}>
            {t.gallery.move}
          </button>
          <button
            type="button"
            className="button small danger"
            disabled={busy}
            onClick={() =>
              change(t.gallery.removedPictures(chosen.length), async () => {
                const { head } = await api.get<{ head: RevisionReply }>(of(name));
                await removeSamples(api, name, chosen);
                const { head: now } = await api.get<{ head: RevisionReply }>(of(name));
                return { to: head.number, from: now.number };
              })
            }
          >
            {t.gallery.removeSelected}
          </button>
        </div>
      )}
    </Dialog>
  );
}
