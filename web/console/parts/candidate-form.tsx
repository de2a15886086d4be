import { type FormEvent, useId, useState } from "react";
import type { CandidateReply } from "../../../src/server/protocol-candidate.ts";
import { of } from "../api.ts";
import { useAction, useConsole } from "../context.ts";

interface FormProps {
  /** The server's own first. */
  readonly models: readonly string[];
  /** Whether the server trains encoders. */
  readonly learns: boolean;
  /** The gallery has no picture yet. */
  readonly empty: boolean;
  /** There was one that failed. */
  readonly again: boolean;
  onStarted(): Promise<void>;
}

/** In percent as it is typed, as the share that is sent; `undefined` for nothing. */
const shareOf = (text: string): number | undefined => (text === "" ? undefined : Number(text) / 100);

/** What a candidate is to have otherwise. What is left as it is is not sent: the gallery's own holds then. */
export function CandidateForm({ models, learns, empty, again, onStarted }: FormProps) {
  const { t, api, gallery, galleries } = useConsole();
  const [busy, run] = useAction();
  const [model, setModel] = useState("");
  const [tune, setTune] = useState(true);
  const [train, setTrain] = useState(false);
  const [steps, setSteps] = useState("");
  const [rate, setRate] = useState("");
  const [margin, setMargin] = useState("");
  const id = useId();
  const words = t.candidate;
  const current = galleries.find(({ name }) => name === gallery)?.model ?? "";
  const others = models.filter((name) => name !== current);
  const nothing = model === "" && !tune && !train && rate === "" && margin === "";

  const start = (event: FormEvent): void => {
    event.preventDefault();
    void run(async () => {
      const [falseRejectRate, lead] = [shareOf(rate), shareOf(margin)];
      await api.send<CandidateReply>("POST", of(gallery!, "candidate"), {
        tune,
        ...(model !== "" && { model }),
        ...(train && { encoder: steps === "" ? {} : { steps: Number(steps) } }),
        ...(falseRejectRate !== undefined && { falseRejectRate }),
        ...(lead !== undefined && { margin: lead }),
      });
      await onStarted();
    });
  };
  const number = (
    name: "rate" | "margin" | "steps",
    value: string,
    set: (value: string) => void,
    { least, most = 99, whole = false }: { least: number; most?: number; whole?: boolean },
  ) => (
    <div className="grid max-w-xl gap-1">
      <label htmlFor={`${id}${name}`} className="font-medium">
        {words[name]}
      </label>
      <input
        id={`${id}${name}`}
        type="number"
        inputMode={whole ? "numeric" : "decimal"}
        className="field w-32"
        min={least}
        max={most}
        step={whole ? 1 : "any"}
        value={value}
        aria-describedby={`${id}${name}-hint`}
        onChange={(event) => set(event.target.value)}
      />
      <p id={`${id}${name}-hint`} className="hint">
        {words[`${name}Hint`]}
      </p>
    </div>
  );
  const choice = (
    name: "tune" | "train",
    checked: boolean,
    set: (value: boolean) => void,
    disabled = false,
    hint: string = words[`${name}Hint`],
  ) => (
    <div className="flex max-w-xl gap-3">
      <input
        id={`${id}${name}`}
        type="checkbox"
        className="mt-1 size-5 flex-none accent-accent"
        checked={checked}
        disabled={disabled}
        aria-describedby={`${id}${name}-hint`}
        onChange={(event) => set(event.target.checked)}
      />
      <div className="grid gap-1">
        <label htmlFor={`${id}${name}`} className="font-medium">
          {words[name]}
        </label>
        <p id={`${id}${name}-hint`} className="hint">
          {hint}
        </p>
      </div>
    </div>
  );
  return (
    <form
      className="card grid grid-cols-[minmax(0,1fr)] gap-5"
      onSubmit={start}
      aria-labelledby={`${id}title`}
    >
      <h2 id={`${id}title`}>{again ? words.again : words.start}</h2>
      {choice("tune", tune, setTune)}
      {learns &&
        choice("train", train, setTrain, model !== "", model === "" ? words.trainHint : words.trainOwn)}
      {train && number("steps", steps, setSteps, { least: 1, most: 10_000, whole: true })}
      <div className="grid max-w-xl gap-1">
        <label htmlFor={`${id}model`} className="font-medium">
          {words.model}
        </label>
        <select
          id={`${id}model`}
          className="field w-auto justify-self-start"
          value={model}
          disabled={others.length === 0 || train}
          aria-describedby={`${id}model-hint`}
          onChange={(event) => setModel(event.target.value)}
        >
          <option value="">{words.modelNow(current)}</option>
          {others.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <p id={`${id}model-hint`} className="hint">
          {others.length === 0 ? words.oneModel : words.modelHint}
        </p>
      </div>
      {number("rate", rate, setRate, { least: 0.1 })}
      {number("margin", margin, setMargin, { least: 0 })}
      <div className="flex flex-wrap items-center gap-3">
        <button type="submit" className="button primary" disabled={busy || nothing || empty}>
          {words.start}
        </button>
        {(nothing || empty) && <p className="hint">{empty ? t.errors.GALLERY_EMPTY : words.nothing}</p>}
      </div>
    </form>
  );
}
