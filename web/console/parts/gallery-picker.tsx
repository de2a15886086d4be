import { useState } from "react";
import type { GalleryReply } from "../../../src/server/protocol.ts";
import { ApiError, of } from "../api.ts";
import { useAction, useConsole } from "../context.ts";
import { Ask } from "./dialog.tsx";

/** Which gallery all pages look at, and a new one for who may make it. */
export function GalleryPicker() {
  const { t, galleries, gallery, can, open, api, changed, say } = useConsole();
  const [asking, setAsking] = useState(false);
  const [, run] = useAction();
  /** Only while it is as it was made: pictures that came meanwhile are not undone along with it. */
  const remove = async (name: string): Promise<void> => {
    const { head, pending } = await api.get<GalleryReply>(of(name));
    if (head.number > 0 || pending > 0) throw new ApiError("CHANGED_SINCE", t.undoLate, 409);
    await api.send("DELETE", of(name));
  };
  const page = (): string => location.hash.split("/")[1] || "gallery";
  if (galleries.length === 0 && !can("edit")) return null;
  return (
    <>
      {galleries.length > 0 && (
        <select
          aria-label={t.galleryPicker}
          className="field"
          value={gallery ?? ""}
          onChange={(event) => (event.target.value ? open(page(), event.target.value) : setAsking(true))}
        >
          {galleries.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
          {can("edit") && <option value="">{t.newGallery}</option>}
        </select>
      )}
      {asking && (
        <Ask
          title={t.newGallery}
          label={t.newGalleryName}
          hint={t.galleryNameHint}
          pattern="[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,63}"
          button={t.create}
          onClose={() => setAsking(false)}
          onAnswer={(name) =>
            run(async () => {
              await api.send("POST", "v1/galleries", { name });
              setAsking(false);
              await changed();
              open("gallery", name);
              say(t.galleryMade(name), can("admin") ? () => remove(name) : undefined);
            })
          }
        />
      )}
    </>
  );
}
