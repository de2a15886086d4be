import { useEffect, useRef, useState } from "react";
import { type Group, nextId, waitingOf } from "../candidates.ts";
import { useAction, useConsole } from "../context.ts";
import { enrollPictures, removeSamples } from "../enroll.ts";
import { type Crop, type Found, toFile } from "../files.ts";
import { list } from "../format.ts";
import { HoldToRecord } from "./camera.tsx";
import { Choose, DropPlace } from "./choose.tsx";
import { CropDialog } from "./crop-dialog.tsx";
import { Dialog } from "./dialog.tsx";
import { WaitingGroup } from "./waiting-group.tsx";

interface AddPicturesProps {
  readonly label: string;
  /** Of all classes. */
  readonly labels: readonly string[];
  onClose(): void;
}

/** Pictures in, a look at them, and only then into the gallery. */
export function AddPictures({ label, labels, onClose }: AddPicturesProps) {
  const { t, api, gallery, changed, say, can, language } = useConsole();
  const [groups, setGroups] = useState<readonly Group[]>([{ id: 0, label, pictures: [] }]);
  const [camera, setCamera] = useState(false);
  const [cropping, setCropping] = useState<{ group: number; picture: number } | null>(null);
  const [progress, setProgress] = useState(0);
  const [busy, run] = useAction();
  const all = groups.flatMap(({ pictures }) => pictures);

  const kept = useRef(all);
  kept.current = all;
  useEffect(
    () => () => {
      for (const { url } of kept.current) URL.revokeObjectURL(url);
    },
    [],
  );

  /** Files go to the first class, folders each to the class of their name where there are several. */
  const take = async (found: readonly Found[]): Promise<void> => {
    const folders = new Set(found.map(({ folder }) => folder).filter((folder) => folder !== null));
    const apart = folders.size > 1;
    const coming = await Promise.all(
      found.map(async ({ file, folder }) => ({ folder, picture: await waitingOf(file) })),
    );
    setGroups((before) => {
      let next = [...before];
      for (const { folder, picture } of coming) {
        const wanted = apart && folder !== null ? next.find((group) => group.label === folder) : next[0];
        if (wanted)
          next = next.map((group) =>
            group === wanted
              ? {
                  ...group,
                  label: group.label || (apart ? "" : (folder ?? "")),
                  pictures: [...group.pictures, picture],
                }
              : group,
          );
        else next.push({ id: nextId(), label: folder!, pictures: [picture] });
      }
      const filled = next.filter(({ pictures }) => pictures.length > 0);
      return filled.length > 0 ? filled : next;
    });
  };
  const change = (id: number, edit: (group: Group) => Group): void =>
    setGroups((before) => before.map((group) => (group.id === id ? edit(group) : group)));

  const crop = async ({ group, picture }: { group: number; picture: number }, cut: Crop, every: boolean) => {
    const cutOf = async (file: File) => {
      const bitmap = await createImageBitmap(file);
      const part = await toFile(bitmap, file.name.replace(/\.\w+$/, ".jpg"), cut);
      bitmap.close();
      return waitingOf(part);
    };
    const wanted = all.filter(({ id, measures }) => (every || id === picture) && measures !== null);
    const parts = new Map(
      await Promise.all(wanted.map(async ({ id, file }) => [id, await cutOf(file)] as const)),
    );
    for (const { id } of groups)
      if (every || id === group)
        change(id, (before) => ({
          ...before,
          pictures: before.pictures.map((one) => parts.get(one.id) ?? one),
        }));
    for (const { url } of wanted) URL.revokeObjectURL(url);
    setCropping(null);
  };

  const commit = (): Promise<void> =>
    run(async () => {
      const name = gallery ?? "default";
      if (gallery === null) await api.send("POST", "v1/galleries", { name });
      const added: string[] = [];
      const rejected: { message: string; code: string }[] = [];
      let before = 0;
      try {
        for (const group of groups) {
          const files = group.pictures.map(({ file }) => file);
          if (files.length === 0) continue;
          const result = await enrollPictures(api, name, group.label.trim(), files, (done) =>
            setProgress(before + done),
          );
          before += files.length;
          added.push(...result.added);
          rejected.push(...result.rejected);
        }
      } finally {
        await changed();
      }
      onClose();
      const [first] = rejected;
      const what = list(
        groups.map((group) => group.label.trim()),
        language,
      );
      const why = first && (t.errors[first.code as keyof typeof t.errors] ?? first.message);
      say(
        [t.add.done(added.length, what), ...(why ? [t.add.notTaken(rejected.length, why)] : [])].join(" "),
        added.length > 0 && can("edit") ? () => removeSamples(api, name, added) : undefined,
      );
    });

  const ready = all.length > 0 && groups.every((group) => group.label.trim() !== "");
  const cropped = cropping && all.find(({ id }) => id === cropping.picture);
  return (
    <>
      <Dialog title={t.add.title} wide onClose={onClose}>
        <div className="grid gap-5">
          <DropPlace onFound={(found) => void run(() => take(found))}>
            <Choose onFound={(found) => void run(() => take(found))}>{t.add.files}</Choose>
            <Choose folder onFound={(found) => void run(() => take(found))}>
              {t.add.folder}
            </Choose>
            {!camera && (
              <button type="button" className="button" onClick={() => setCamera(true)}>
                {t.add.camera}
              </button>
            )}
          </DropPlace>
          {camera && (
            <HoldToRecord
              onPicture={(file) => void take([{ file, folder: null }])}
              onClose={() => setCamera(false)}
            />
          )}
          {groups.map((group) => (
            <WaitingGroup
              key={group.id}
              group={group}
              labels={labels}
              onLabel={(next) => change(group.id, (before) => ({ ...before, label: next }))}
              onRemove={(id) => {
                change(group.id, (before) => ({
                  ...before,
                  pictures: before.pictures.filter((picture) => picture.id !== id),
                }));
              }}
              onCrop={(picture) => setCropping({ group: group.id, picture })}
            />
          ))}
          <div className="flex flex-wrap items-center gap-3">
            <button type="button" className="button primary" disabled={!ready || busy} onClick={commit}>
              {groups.length > 1
                ? t.add.commitMany(all.length, groups.length)
                : t.add.commit(all.length, groups[0]!.label.trim() || "…")}
            </button>
            {busy && progress > 0 && (
              <progress aria-label={t.loading} className="flex-1" value={progress} max={all.length} />
            )}
          </div>
        </div>
      </Dialog>
      {cropping && cropped && (
        <CropDialog
          url={cropped.url}
          alt={cropped.file.name}
          onClose={() => setCropping(null)}
          onCrop={(cut, every) => void run(() => crop(cropping, cut, every))}
        />
      )}
    </>
  );
}
