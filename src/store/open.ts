import { withoutPassword } from "./address.ts";
import type { Backend } from "./backend.ts";
import { invalid, show } from "./check.ts";
import { createStore } from "./create-store.ts";
import { drivers } from "./drivers/index.ts";
import type { GalleryStore } from "./store.ts";

/**
 * Opens a store by its address: `memory:` (gone when it is closed), `sqlite:PATH`, a bare path that ends in `.db`,
 * `postgres://USER:PASSWORD@HOST/DATABASE?schema=NAME` or `redis://HOST:PORT/NUMBER?prefix=NAME:` (`rediss:` over TLS);
 * see docs/stores.md. A file or schema that does not exist is made. The caller closes the store.
 *
 * Throws INVALID_ARGUMENT, STORE_BROKEN, STORE_NEWER, STORE_READ_ONLY, STORE_BUSY, STORE_FULL, STORE_UNAVAILABLE.
 */
export async function openStore(url: string): Promise<GalleryStore> {
  return createStore(await openBackend(String(url)));
}

async function openBackend(url: string): Promise<Backend> {
  // Two letters at least: `C:\parts.db` is a path.
  const [, scheme, rest = ""] = /^([a-z][a-z0-9]+):(.*)$/s.exec(url) ?? [];
  if (scheme !== undefined && isDriver(scheme) && (rest === "") === (scheme === "memory"))
    return drivers[scheme](rest);
  if (scheme === undefined && url.endsWith(".db")) return drivers.sqlite(url);
  throw invalid(
    "memory:, sqlite:PATH, a path that ends in .db, postgres://… or redis://… as the store's address",
    show(withoutPassword(url)),
    "Give, for instance, sqlite:parts.db.",
  );
}

function isDriver(scheme: string): scheme is keyof typeof drivers {
  return Object.hasOwn(drivers, scheme);
}
