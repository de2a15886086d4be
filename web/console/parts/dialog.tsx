import { type ReactNode, useEffect, useRef } from "react";
import { useConsole } from "../context.ts";

interface DialogProps {
  readonly title: string;
  readonly children: ReactNode;
  /** Wide enough for pictures. */
  readonly wide?: boolean;
  onClose(): void;
}

/** The platform's own modal: it holds the focus, closes by Escape and gives the focus back. */
export function Dialog({ title, children, wide = false, onClose }: DialogProps) {
  const { t } = useConsole();
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current!;
    if (!dialog.open) dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog ref={element} aria-label={title} onClose={onClose} className={wide ? "w-5xl" : "w-md"}>
      <div className="mb-4 flex items-start justify-between gap-4">
        <h2>{title}</h2>
        <button type="button" className="button small" onClick={() => element.current?.close()}>
          {t.close}
        </button>
      </div>
      {children}
    </dialog>
  );
}

interface AskProps {
  readonly title: string;
  readonly label: string;
  readonly value?: string;
  readonly hint?: string;
  readonly button: string;
  readonly pattern?: string;
  /** Names that are offered. */
  readonly names?: readonly string[];
  onClose(): void;
  onAnswer(value: string): Promise<void>;
}

/** Asks for one name. */
export function Ask({
  title,
  label,
  value = "",
  hint,
  button,
  pattern,
  names = [],
  onClose,
  onAnswer,
}: AskProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        className="grid gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          void onAnswer(String(new FormData(event.currentTarget).get("value")).trim());
        }}
      >
        <label className="grid gap-1">
          {label}
          <input
            name="value"
            required
            defaultValue={value}
            pattern={pattern}
            list={names.length > 0 ? "ask-names" : undefined}
            autoComplete="off"
            className="field"
          />
        </label>
        {hint && <p className="hint">{hint}</p>}
        <datalist id="ask-names">
          {names.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <button type="submit" className="button primary">
          {button}
        </button>
      </form>
    </Dialog>
  );
}
