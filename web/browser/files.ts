/** A picture's file with the folder that it lay in, `null` for one that came alone. */
export interface Dropped {
  readonly file: File;
  readonly folder: string | null;
}

const isPicture = ({ name, type }: File): boolean =>
  !name.startsWith(".") && (type.startsWith("image/") || /\.(jpe?g|png|webp|gif|bmp)$/i.test(name));

/** Of an input for files or for a folder. */
export function chosen(files: Iterable<File>): Dropped[] {
  return [...files].filter(isPicture).map((file) => {
    const folders = file.webkitRelativePath.split("/").slice(0, -1);
    return { file, folder: folders.at(-1) ?? null };
  });
}

/** Of a drop, folders with what is in them. */
export async function dropped({ items }: DataTransfer): Promise<Dropped[]> {
  // Asked for at once: a drop's items are gone after the first await.
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  const found: Dropped[] = [];
  const visit = async (entry: FileSystemEntry, folder: string | null): Promise<void> => {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) =>
        (entry as FileSystemFileEntry).file(resolve, reject),
      );
      if (isPicture(file)) found.push({ file, folder });
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      // A reader gives at most a hundred entries at a time.
      const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
        reader.readEntries(resolve, reject),
      );
      if (some.length === 0) return;
      for (const child of some) await visit(child, entry.name);
    }
  };
  for (const entry of entries) await visit(entry, null);
  return found;
}

/** By class: the name that was given, else the folder's. Files without either are left out. */
export function byClass(files: readonly Dropped[], label: string): Map<string, File[]> {
  const groups = new Map<string, File[]>();
  const folders = new Set(files.map(({ folder }) => folder));
  for (const { file, folder } of files) {
    // Several folders are several classes, whatever name was typed for one.
    const name = folders.size > 1 && folder !== null ? folder : label || folder;
    if (!name) continue;
    const group = groups.get(name);
    if (group) group.push(file);
    else groups.set(name, [file]);
  }
  return groups;
}
