import type { EnrollReply } from "../../src/server/protocol.ts";
import { type Api, ApiError, formOf, inRequests, of } from "./api.ts";

export interface Enrolled {
  readonly added: readonly string[];
  readonly rejected: EnrollReply["rejected"];
}

/** Enrolls pictures in as many requests as they need; `progress` is told the pictures that are through. */
export async function enrollPictures(
  api: Api,
  gallery: string,
  label: string,
  files: readonly File[],
  progress: (done: number) => void = () => undefined,
): Promise<Enrolled> {
  const added: string[] = [];
  const rejected: EnrollReply["rejected"] = [];
  let done = 0;
  for (const part of inRequests(files)) {
    const path = of(gallery, "classes", label, "samples");
    const reply = await api.send<EnrollReply>("POST", path, formOf(part));
    added.push(...reply.added.map(({ id }) => id));
    rejected.push(...reply.rejected);
    done += part.length;
    progress(done);
  }
  return { added, rejected };
}

/** Ids that go in one address. */
const mostIds = 200;

export async function removeSamples(api: Api, gallery: string, ids: readonly string[]): Promise<void> {
  for (let from = 0; from < ids.length; from += mostIds) {
    const query = ids.slice(from, from + mostIds).map((id) => `id=${encodeURIComponent(id)}`);
    await api.send("DELETE", `${of(gallery, "samples")}?${query.join("&")}`);
  }
}

/**
 * Takes a change back by going to the revision before it, if nothing came after it: what others did meanwhile is not
 * to be undone along with it.
 */
export async function rollBack(
  api: Api,
  gallery: string,
  { to, from, late }: { readonly to: number; readonly from: number; readonly late: string },
): Promise<void> {
  const { head } = await api.get<{ head: { number: number } }>(of(gallery));
  if (head.number !== from) throw new ApiError("CHANGED_SINCE", late, 409);
  await api.send("POST", of(gallery, "rollback"), { to });
}
