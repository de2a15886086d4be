import type { MapReply } from "../../../src/server/protocol-console.ts";
import { adviceText, advise } from "../advice.ts";
import { of } from "../api.ts";
import { useConsole, useLoad } from "../context.ts";
import { pixelsOf } from "../files.ts";
import { measure } from "../picture-quality.ts";
import { isSuspect } from "../suspects.ts";

/** Pictures of a class that are measured, at most. */
const most = 60;
/** Pixels a side: thumbnails are no larger. */
const side = 192;

/** What further pictures of a class would help, from its pictures that the others do not recognize. */
export function ClassAdvice({ samples }: { samples: MapReply["samples"] }) {
  const { t, api, gallery } = useConsole();
  // More of what may be another part would not help.
  const tried = samples.filter((sample) => sample.leftOut !== null && !isSuspect(sample)).slice(-most);
  const right = ({ label, leftOut }: (typeof tried)[number]): boolean =>
    leftOut?.kind === "known" && leftOut.nearest === label;
  const asked = tried.some((sample) => !right(sample));
  const { value } = useLoad(async () => {
    if (!asked) return [];
    const measured = await Promise.all(
      tried.map(async (sample) => {
        // Of some pictures none is kept.
        const picture = await api.blob(of(gallery!, "samples", sample.id, "thumbnail")).catch(() => null);
        if (!picture) return null;
        const { data, width, height } = await pixelsOf(picture, side);
        return { measures: measure(data, width, height), right: right(sample) };
      }),
    );
    return measured.filter((one) => one !== null);
  }, [gallery, asked, tried.map(({ id }) => id).join()]);
  const text = value ? adviceText(advise(value), t) : null;
  return text && <span className="hint mt-1 block max-w-80">{text}</span>;
}
