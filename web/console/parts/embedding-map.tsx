import { type PointerEvent, useEffect, useMemo, useRef, useState } from "react";
import type { RevisionReply } from "../../../src/server/protocol.ts";
import type { MapReply, MoveReply } from "../../../src/server/protocol-console.ts";
import { of } from "../api.ts";
import { colourOf } from "../colour.ts";
import { useAction, useConsole } from "../context.ts";
import { removeSamples, rollBack } from "../enroll.ts";
import { inside, principalPlane } from "../pca.ts";
import { isSuspect } from "../suspects.ts";
import { Ask } from "./dialog.tsx";
import { SamplePicture } from "./picture.tsx";

type Point = readonly [x: number, y: number];
type Sample = MapReply["samples"][number];

/** The side of the map in its own units, and the margin that points keep from its edge. */
const [side, margin] = [100, 4];

const rowsOf = (vectors: string): Float32Array => {
  const bytes = Uint8Array.from(atob(vectors), (char) => char.charCodeAt(0));
  return new Float32Array(bytes.buffer);
};

/** Places `[n × 2]` as points of the map. */
function placeOn(places: Float32Array): Point[] {
  const n = places.length / 2;
  const of = (axis: 0 | 1): number[] => Array.from({ length: n }, (_, i) => places[2 * i + axis]!);
  const scaled = ([0, 1] as const).map((axis) => {
    const values = of(axis);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return values.map((value) => margin + ((side - 2 * margin) * (value - low)) / (high - low || 1));
  });
  return Array.from({ length: n }, (_, i) => [scaled[0]![i]!, side - scaled[1]![i]!] as const);
}

/** The gallery as the model sees it: PCA at once, UMAP from a worker; pictures are chosen by drawing around them. */
export function EmbeddingMap({ map }: { map: MapReply }) {
  const { t } = useConsole();
  const { samples, dim, vectors } = map;
  const rows = useMemo(() => rowsOf(vectors), [vectors]);
  const plane = useMemo(() => principalPlane(rows, samples.length, dim), [rows, samples, dim]);
  const [kind, setKind] = useState<"plane" | "neighbours">("plane");
  const neighbours = useUmap(kind === "neighbours", rows, samples.length, dim);
  const [lasso, setLasso] = useState<readonly Point[]>([]);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  // What is drawn, ahead of what is shown: several moves may come between two pictures of the screen.
  const drawing = useRef<Point[] | null>(null);
  const labels = [...new Set(samples.map(({ label }) => label))].sort();
  const points = placeOn(kind === "neighbours" && neighbours ? neighbours : plane);
  const at = (event: PointerEvent<SVGSVGElement>): Point => {
    const box = event.currentTarget.getBoundingClientRect();
    return [(side * (event.clientX - box.left)) / box.width, (side * (event.clientY - box.top)) / box.height];
  };
  const finish = (): void => {
    const around = drawing.current ?? [];
    drawing.current = null;
    if (around.length > 2)
      setChosen(new Set(samples.filter((_, i) => inside(points[i]!, around)).map(({ id }) => id)));
    setLasso([]);
  };
  const suspects = samples.filter(isSuspect);

  return (
    <section className="card grid grid-cols-[minmax(0,1fr)] gap-3" aria-labelledby="map">
      <div className="flex flex-wrap items-start justify-between gap-3">
        <div>
          <h2 id="map">{t.quality.map}</h2>
          <p className="hint">
            {t.quality.mapLead}
            {map.of > samples.length && ` ${t.quality.some(samples.length, map.of)}`}
          </p>
        </div>
        <div className="flex gap-2">
          {(["plane", "neighbours"] as const).map((name) => (
            <button
              key={name}
              type="button"
              className="button small aria-pressed:border-accent aria-pressed:text-accent"
              aria-pressed={kind === name}
              disabled={name === "neighbours" && samples.length < 4}
              onClick={() => setKind(name)}
            >
              {t.quality[name]}
            </button>
          ))}
        </div>
      </div>
      <div className="grid grid-cols-[minmax(0,1fr)] gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <div>
          <svg
            viewBox={`0 0 ${side} ${side}`}
            role="img"
            aria-label={t.quality.map}
            className="mx-auto aspect-square w-full max-w-lg touch-none rounded-lg bg-ground select-none"
            onPointerDown={(event) => {
              event.currentTarget.setPointerCapture(event.pointerId);
              drawing.current = [at(event)];
            }}
            onPointerMove={(event) => {
              if (!drawing.current) return;
              drawing.current.push(at(event));
              setLasso([...drawing.current]);
            }}
            onPointerUp={finish}
            onPointerCancel={finish}
          >
            {samples.map((sample, i) => (
              <circle
                key={sample.id}
                cx={points[i]![0]}
                cy={points[i]![1]}
                r={chosen.has(sample.id) ? 1.6 : 1.1}
                style={{ fill: colourOf(labels.indexOf(sample.label)) }}
                className={
                  chosen.has(sample.id)
                    ? "stroke-ink stroke-[0.5]"
                    : isSuspect(sample)
                      ? "stroke-unknown stroke-[0.5]"
                      : ""
                }
              >
                <title>{`${sample.label}, ${sample.origin}`}</title>
              </circle>
            ))}
            {lasso.length > 1 && (
              <polygon
                points={lasso.map((point) => point.join()).join(" ")}
                className="fill-accent/15 stroke-accent stroke-[0.4]"
              />
            )}
          </svg>
          <p className="hint" role="status">
            {kind === "neighbours" && !neighbours ? t.quality.computing : ""}
          </p>
          <ul className="mt-2 flex flex-wrap gap-x-4 gap-y-1 text-sm">
            {labels.map((label, i) => (
              <li key={label} className="flex items-center gap-1.5">
                <span
                  className="size-3 rounded-full"
                  style={{ background: colourOf(i) }}
                  aria-hidden="true"
                />
                {label}
              </li>
            ))}
          </ul>
        </div>
        <div className="grid content-start gap-4">
          <Chosen
            samples={samples.filter(({ id }) => chosen.has(id))}
            labels={labels}
            onClear={() => setChosen(new Set())}
          />
          <div>
            <h3>{t.quality.mislabels}</h3>
            {suspects.length === 0 && <p className="hint">{t.quality.mislabelsNone}</p>}
            <ul className="mt-2 grid gap-2">
              {suspects.slice(0, 20).map(({ id, label, origin, leftOut }) => (
                <li key={id} className="flex items-center gap-3">
                  <SamplePicture id={id} alt={origin} className="thumb size-12" />
                  <span className="min-w-0 flex-1 text-sm wrap-anywhere">
                    {t.quality.looksLike(label, leftOut!.nearest)}
                  </span>
                  <button
                    type="button"
                    className="button small"
                    onClick={() => setChosen(new Set([...chosen, id]))}
                  >
                    {t.quality.choose}
                    <span className="sr-only"> {origin}</span>
                  </button>
                </li>
              ))}
            </ul>
          </div>
        </div>
      </div>
    </section>
  );
}

/** Asks the worker once, when it is first wanted. */
function useUmap(wanted: boolean, rows: Float32Array, n: number, dim: number): Float32Array | null {
  const { fail } = useConsole();
  const [places, setPlaces] = useState<Float32Array | null>(null);
  const ask = wanted && places === null;
  useEffect(() => {
    if (!ask) return;
    const worker = new Worker(new URL("../umap-worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }: MessageEvent<Float32Array>) => setPlaces(data));
    worker.addEventListener("error", (event) => fail(new Error(event.message)));
    worker.postMessage({ rows, n, dim });
    return () => worker.terminate();
  }, [ask, rows, n, dim, fail]);
  return places;
}

/** Thumbnails of chosen pictures, at most: all of them are still chosen. */
const mostShown = 24;

interface ChosenProps {
  readonly samples: readonly Sample[];
  /** Of all classes. */
  readonly labels: readonly string[];
  onClear(): void;
}

/** Pictures that were drawn around, and what can be done with them. */
function Chosen({ samples, labels, onClear }: ChosenProps) {
  const { t, api, gallery, can, changed, say } = useConsole();
  const [moving, setMoving] = useState(false);
  const [busy, run] = useAction();
  if (samples.length === 0) return null;
  const name = gallery!;
  const id = samples.map((sample) => sample.id);
  const change = (text: string, work: () => Promise<{ readonly to: number; readonly from: number }>) =>
    run(async () => {
      const revisions = await work();
      setMoving(false);
      onClear();
      await changed();
      say(text, () => rollBack(api, name, { ...revisions, late: t.undoLate }));
    });
  const head = async (): Promise<number> => (await api.get<{ head: RevisionReply }>(of(name))).head.number;
  return (
    <div>
      <h3 role="status">{t.gallery.selected(samples.length)}</h3>
      <ul className="my-2 flex flex-wrap gap-2">
        {samples.slice(0, mostShown).map((sample) => (
          <li key={sample.id}>
            <SamplePicture id={sample.id} alt={`${sample.label}, ${sample.origin}`} />
          </li>
        ))}
      </ul>
      <div className="flex flex-wrap gap-2">
        {can("edit") && (
          <>
            <button type="button" className="button small" disabled={busy} onClick={() => setMoving(true)}>
              {t.gallery.move}
            </button>
            <button
              type="button"
              className="button small danger"
              disabled={busy}
              onClick={() =>
                change(t.gallery.removedPictures(id.length), async () => {
                  const to = await head();
                  await removeSamples(api, name, id);
                  return { to, from: await head() };
                })
              }
            >
              {t.gallery.removeSelected}
            </button>
          </>
        )}
        <button type="button" className="button small" onClick={onClear}>
          {t.quality.clear}
        </button>
      </div>
      {moving && (
        <Ask
          title={t.gallery.moveTitle}
          label={t.add.label}
          names={labels}
          hint={t.add.labelHint}
          button={t.gallery.move}
          onClose={() => setMoving(false)}
          onAnswer={(into) =>
            change(t.gallery.moved(id.length, into), async () => {
              const { before, revision } = await api.send<MoveReply>("POST", of(name, "samples", "move"), {
                id,
                into,
              });
              return { to: before, from: revision.number };
            })
          }
        />
      )}
    </div>
  );
}
