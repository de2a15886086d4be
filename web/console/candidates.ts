import { useEffect, useRef, useState } from "react";
import type { CheckReply } from "../../src/server/protocol-console.ts";
import { formOf, inRequests, of } from "./api.ts";
import { useConsole } from "./context.ts";
import { pixelsOf } from "./files.ts";
import { type Measures, measure } from "./picture-quality.ts";

/** A picture that waits to be added. */
export interface Waiting {
  readonly id: number;
  readonly file: File;
  readonly url: string;
  /** `null` for what the browser cannot decode. */
  readonly measures: Measures | null;
}

/** Pictures of one class that wait to be added, under the name that it will have. */
export interface Group {
  readonly id: number;
  readonly label: string;
  readonly pictures: readonly Waiting[];
}

/** Pixels a side that blur and exposure are measured at. */
const side = 256;
let ids = 0;
export const nextId = (): number => ++ids;

export async function waitingOf(file: File): Promise<Waiting> {
  const measures = await pixelsOf(file, side).then(
    ({ data, width, height }) => measure(data, width, height),
    () => null,
  );
  return { id: nextId(), file, url: URL.createObjectURL(file), measures };
}

/** Milliseconds without a further change before the server is asked. */
const calm = 400;

/** What the server says of the pictures, before anything is kept; asked for again when they change. */
export function useCheck(group: Group): { readonly report: CheckReply | null; readonly busy: boolean } {
  const { api, gallery, fail } = useConsole();
  const [report, setReport] = useState<{ readonly key: string; readonly reply: CheckReply } | null>(null);
  const latest = useRef(group);
  latest.current = group;
  const key = `${group.label.trim()}\n${group.pictures.map(({ id }) => id).join()}`;
  const ready = group.label.trim() !== "" && group.pictures.length > 0 && gallery !== null;
  useEffect(() => {
    if (!ready) return;
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      const { label, pictures } = latest.current;
      // What fits into one request is checked; hundreds of pictures at once are not looked at one by one anyway.
      const [files = []] = inRequests(pictures.map(({ file }) => file));
      try {
        const path = of(gallery!, "classes", label.trim(), "check");
        const reply = await api.send<CheckReply>("POST", path, formOf(files), stop.signal);
        setReport({ key, reply });
      } catch (error) {
        if (!stop.signal.aborted) fail(error);
      }
    }, calm);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [api, gallery, fail, ready, key]);
  return { report: ready && report?.key === key ? report.reply : null, busy: ready && report?.key !== key };
}
