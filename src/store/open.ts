import { invalid, show } from "./check.ts";
import { createStore } from "./create-store.ts";
import { drivers } from "./drivers/index.ts";
import type { GalleryStore } from "./store.ts";

/**
 * Opens a store by its address: `memory:` (gone when it is closed), `sqlite:PATH`, or a bare path that ends in `.db`.
 * A file that does not exist is made, with its folder. The caller closes the store.
 *
 * Throws INVALID_ARGUMENT, STORE_BROKEN, STORE_NEWER, STORE_READ_ONLY, STORE_BUSY, STORE_FULL.
 */
export async function openStore(url: string): Promise<GalleryStore> {
  // Two letters at least: `C:\parts.db` is a path.
  const [, scheme, rest] = /^([a-z][a-z0-9]+):(.*)$/s.exec(url) ?? [];
  if (scheme !== undefined && Object.hasOwn(drivers, scheme))
    return createStore(await drivers[scheme]!(rest!));
  if (scheme === undefined && url.endsWith(".db")) return createStore(await drivers.sqlite!(url));
  throw invalid(
    `a store's address that begins with ${Object.keys(drivers)
      .map((name) => `${name}:`)
      .join(" or ")}, or a path that ends in .db`,
    show(url),
    "Give, for instance, sqlite:parts.db.",
  );
}
