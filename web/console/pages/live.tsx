import { useEffect, useId, useRef, useState } from "react";
import type { ClassesReply, RecognitionReply } from "../../../src/server/protocol.ts";
import { of } from "../api.ts";
import { textOf, useAction, useConsole, useLoad } from "../context.ts";
import { enrollPictures, removeSamples } from "../enroll.ts";
import { clock, decimal, list } from "../format.ts";
import { fromLine } from "../line-source.ts";
import { type Answered, useLive } from "../live-loop.ts";
import { AnswerView, kindColour } from "../parts/answer.tsx";
import { useCamera } from "../parts/camera.tsx";
import { Ask } from "../parts/dialog.tsx";
import { VoteView } from "../parts/vote-view.tsx";
import { keepSource, keptSource } from "../preferences.ts";
import { fromFiles, fromSample, fromVideo, picturesOf } from "../sources.ts";

const sourceNames = ["line", "sample", "camera", "video", "pictures"] as const;
type SourceName = (typeof sourceNames)[number];
/** For who may look on and not ask. */
const watched: readonly SourceName[] = ["line"];

/** The sample line where the first run leads to it; else what was chosen last. */
const firstSource = (names: readonly SourceName[]): SourceName => {
  if (location.hash.endsWith("/start")) keepSource("sample");
  const kept = keptSource();
  return names.find((source) => source === kept) ?? names.find((source) => source === "camera") ?? "line";
};

export const labelOf = (answer: RecognitionReply): string | null =>
  answer.kind === "known" ? answer.label : null;

export function LivePage() {
  const { t, api, gallery, changes, can, changed, say, fail, language } = useConsole();
  const { value } = useLoad(
    async () => (gallery === null ? { classes: [] } : api.get<ClassesReply>(of(gallery, "classes"))),
    [gallery, changes],
  );
  const live = useLive();
  const [busy, run] = useAction();
  const names = can("recognize") ? sourceNames : watched;
  const [name, setName] = useState(() => firstSource(names));
  const [files, setFiles] = useState<readonly File[]>([]);
  const [camera, setCamera] = useState(false);
  const [teaching, setTeaching] = useState<File | null>(null);
  const [part, setPart] = useState(0);
  const video = useRef<HTMLVideoElement>(null);
  const choose = useId();
  const { ready, refused } = useCamera(video, camera);
  const newest = live.answers[0];
  const moving = name === "camera" || name === "video";
  const started = useRef(false);

  // A camera is started by its switch, and answers begin when it shows something.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the camera is ready
  useEffect(() => {
    if (ready && camera) live.start(fromVideo(video, "camera"));
  }, [ready, camera]);

  const start = (): Promise<void> =>
    run(async () => {
      started.current = true;
      setPart(performance.now());
      if (name === "camera") return setCamera(true);
      if (name === "video") {
        const [file] = files;
        const element = video.current;
        if (!file || !element) return;
        element.srcObject = null;
        element.src = URL.createObjectURL(file);
        await element.play();
        return live.start(fromVideo(video, file.name));
      }
      if (name === "line") return live.start(fromLine(api, gallery!));
      live.start(name === "pictures" ? fromFiles(files) : await fromSample());
    });
  // From the first run on: the sample line begins by itself.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the page opens
  useEffect(() => {
    if (location.hash.endsWith("/start")) void start();
  }, []);
  const toggle = (): void => {
    if (!started.current || (live.ended && name !== "camera")) return void start();
    if (live.running) {
      live.pause();
      video.current?.pause();
    } else {
      void video.current?.play().catch(() => undefined);
      live.resume();
    }
  };
  const pick = (next: SourceName): void => {
    live.pause();
    setCamera(false);
    setFiles([]);
    started.current = false;
    setName(next);
    keepSource(next);
    if (video.current) video.current.src = "";
  };
  const teach = (): void => {
    if (!newest || !can("enroll")) return;
    void run(async () => {
      // First the picture: of a line, the server keeps none that nobody looks at.
      const file = await newest.whole();
      live.pause();
      setTeaching(file);
    });
  };

  const keys = useRef<Record<string, () => void>>({});
  keys.current = { " ": toggle, n: () => setPart(performance.now()), t: teach };
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const { target } = event;
      // The space bar is the button's that has the focus; letters are not.
      const own = `input, select, textarea, dialog${event.key === " " ? ", button, a, summary" : ""}`;
      const typing = target instanceof HTMLElement && target.closest(own);
      if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]"))
        return;
      const act = keys.current[event.key.toLowerCase()];
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);

  const canStart = (name !== "video" && name !== "pictures") || files.length > 0;
  const spoken = newest ? (labelOf(newest.answer) ?? t.kind[newest.answer.kind]) : "";
  return (
    <>
      <h1 className="mb-4">{t.pages.live}</h1>
      <div className="card mb-4 flex flex-wrap items-end gap-3">
        <label className="grid gap-1">
          <span className="hint">{t.live.source}</span>
          <select
            className="field w-auto"
            value={name}
            onChange={(event) => pick(event.target.value as SourceName)}
          >
            {names.map((source) => (
              <option key={source} value={source}>
                {t.live.sources[source]}
              </option>
            ))}
          </select>
        </label>
        {(name === "video" || name === "pictures") && (
          <>
            <input
              id={choose}
              key={name}
              type="file"
              className="peer sr-only"
              {...(name === "video" ? { accept: "video/*" } : { webkitdirectory: "", multiple: true })}
              onChange={(event) =>
                setFiles(name === "video" ? [...(event.target.files ?? [])] : picturesOf(event.target.files))
              }
            />
            <label
              htmlFor={choose}
              className="button cursor-pointer peer-focus-visible:outline-2 peer-focus-visible:outline-accent"
            >
              {name === "video" ? t.live.chooseVideo : t.live.choosePictures}
              {files.length > 0 && ` (${files.length})`}
            </label>
          </>
        )}
        <button
          type="button"
          className="button primary"
          disabled={busy || !canStart || gallery === null}
          onClick={toggle}
        >
          {live.running ? t.live.pause : started.current && !live.ended ? t.live.resume : t.live.start}
        </button>
        {can("enroll") && (
          <button type="button" className="button" disabled={!newest} onClick={teach}>
            {t.live.teach}
          </button>
        )}
        <p className="hint ml-auto" role="status">
          {refused !== null
            ? `${t.add.noCamera} (${refused})`
            : live.running && live.trouble !== null
              ? textOf(live.trouble, t)
              : live.ended
                ? t.live.ended
                : live.running && live.perSecond > 0
                  ? t.live.fps(decimal(live.perSecond, language, 1))
                  : ""}
        </p>
      </div>
      <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-4 lg:grid-cols-[minmax(0,1.2fr)_minmax(0,1fr)]">
        <div className="grid gap-4">
          <div
            className={`grid min-h-72 place-items-center overflow-hidden rounded-xl border-4 bg-raised ${newest ? kindColour[newest.answer.kind] : "border-rule"}`}
          >
            <video
              ref={video}
              muted
              playsInline
              className={moving ? "max-h-[60vh] w-full object-contain" : "hidden"}
            />
            {!moving && newest && (
              <img src={newest.url} alt={t.live.frame} className="max-h-[60vh] min-h-72 object-contain" />
            )}
            {!moving && !newest && (
              <p className="max-w-md p-4 text-center text-quiet">
                {name !== "line" ? t.live.waiting : live.running ? t.live.lineWaiting : t.live.lineHint}
              </p>
            )}
          </div>
          {newest && newest.from !== null && <Sender frame={newest} />}
          <VoteView answers={live.answers} since={part} onNext={() => setPart(performance.now())} />
          <p className="hint">
            {t.live.keys}: <kbd>Space</kbd> {t.live.keyList.space}; <kbd>N</kbd> {t.live.keyList.n}
            {can("enroll") && (
              <>
                ; <kbd>T</kbd> {t.live.keyList.t}
              </>
            )}
          </p>
        </div>
        <div>
          <p className="sr-only" aria-live="polite">
            {spoken}
          </p>
          {newest && <AnswerView answered={newest} />}
          {live.answers.length > 1 && (
            <section className="card mt-4" aria-label={t.live.recent}>
              <h2 className="mb-2">{t.live.recent}</h2>
              <ul className="grid grid-cols-6 gap-2">
                {live.answers.slice(1).map(({ id, url, answer }) => (
                  <li key={id} className="grid gap-1">
                    <img
                      src={url}
                      alt=""
                      className={`aspect-square w-full rounded-md border-3 object-cover ${kindColour[answer.kind]}`}
                    />
                    <span className="truncate text-xs" title={labelOf(answer) ?? t.kind[answer.kind]}>
                      {labelOf(answer) ?? t.kind[answer.kind]}
                    </span>
                  </li>
                ))}
              </ul>
            </section>
          )}
        </div>
      </div>
      {teaching && (
        <Ask
          title={t.live.teachTitle}
          label={t.add.label}
          hint={t.add.labelHint}
          names={value?.classes.map(({ label }) => label) ?? []}
          button={t.live.teachTitle}
          onClose={() => setTeaching(null)}
          onAnswer={(label) =>
            run(async () => {
              const { added, rejected } = await enrollPictures(api, gallery!, label, [teaching]);
              setTeaching(null);
              await changed();
              if (added.length > 0)
                say(
                  t.live.teachDone(label),
                  can("edit") ? () => removeSamples(api, gallery!, added) : undefined,
                );
              else fail(new Error(rejected[0]?.message ?? t.add.duplicate));
              if (started.current) live.resume();
            })
          }
        />
      )}
    </>
  );
}

/** Of a frame that somebody else had answered: whose it is. */
function Sender({ frame: { from, part, passed, id } }: { frame: Answered }) {
  const { t, language } = useConsole();
  const facts = [
    t.live.from(from ?? ""),
    ...(part === null ? [] : [t.live.part(part)]),
    clock(performance.timeOrigin + id, language),
    ...(passed > 0 ? [t.live.passed(passed)] : []),
  ];
  return <p className="hint wrap-anywhere tabular-nums">{list(facts, language)}</p>;
}
