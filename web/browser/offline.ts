/**
 * The page's service worker: keeps its files, so that it opens without a network. A new build has another name, fetches
 * its files anew, and takes over when the last page of the old one is closed.
 */

/** Put in by the build: a hash of all files, and the files that every visit needs. */
declare const pageVersion: string;
declare const pageFiles: readonly string[];

/** Of a worker's scope, which the DOM's types do not know. */
interface Lifetime extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetching extends Event {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

const prefix = "protoline-page-";
const cacheName = prefix + pageVersion;

addEventListener("install", (event) => {
  const fetchAll = async (): Promise<void> => (await caches.open(cacheName)).addAll([...pageFiles]);
  (event as Lifetime).waitUntil(fetchAll());
});

addEventListener("activate", (event) => {
  const dropOld = async (): Promise<void> => {
    for (const name of await caches.keys())
      if (name.startsWith(prefix) && name !== cacheName) await caches.delete(name);
  };
  (event as Lifetime).waitUntil(dropOld());
});

addEventListener("fetch", (event) => {
  const { request } = event as Fetching;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  (event as Fetching).respondWith(answer(request));
});

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(cacheName);
  const kept = await cache.match(request, { ignoreSearch: true });
  if (kept) return kept;
  const response = await fetch(request);
  // What only some browsers need, such as the runtime's build for WebGPU, is kept when it is asked for.
  if (response.ok && new URL(request.url).pathname.includes("/ort/"))
    await cache.put(request, response.clone());
  return response;
}

export {};
