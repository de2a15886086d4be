import { type ReactNode, useId, useState } from "react";
import { useConsole } from "../context.ts";
import { chosenPictures, droppedPictures, type Found } from "../files.ts";

interface ChooseProps {
  readonly children: ReactNode;
  readonly folder?: boolean;
  onFound(found: Found[]): void;
}

/** A button that opens the platform's file dialog, for pictures or for a folder of them. */
export function Choose({ children, folder = false, onFound }: ChooseProps) {
  const id = useId();
  return (
    <>
      <input
        id={id}
        type="file"
        multiple
        accept={folder ? undefined : "image/*"}
        {...(folder && { webkitdirectory: "" })}
        className="peer sr-only"
        onChange={(event) => {
          onFound(chosenPictures(event.target.files));
          event.target.value = "";
        }}
      />
      <label
        htmlFor={id}
        className="button cursor-pointer peer-focus-visible:outline-2 peer-focus-visible:outline-offset-2 peer-focus-visible:outline-accent"
      >
        {children}
      </label>
    </>
  );
}

/** A place to drop files and folders on, with buttons for the same in it. */
export function DropPlace({ children, onFound }: Omit<ChooseProps, "folder">) {
  const { t, fail } = useConsole();
  const [over, setOver] = useState(false);
  return (
    <section
      aria-label={t.add.drop}
      className={`grid justify-items-center gap-3 rounded-xl border-2 border-dashed p-5 text-center ${over ? "border-accent bg-raised" : "border-rule"}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        droppedPictures(event.dataTransfer).then(onFound, fail);
      }}
    >
      <div>
        <p className="font-medium">{t.add.drop}</p>
        <p className="hint">{t.add.dropHint}</p>
      </div>
      <div className="flex flex-wrap justify-center gap-2">{children}</div>
    </section>
  );
}
