/** What an alert is of: the line has changed, or a class of the gallery is bad. */
export type AlertKind = "drift" | "quality";

/** What sinks are told. `id` is the same for the same news told again. */
export interface Alert {
  readonly id: string;
  readonly gallery: string;
  readonly kind: AlertKind;
  readonly state: "raised" | "resolved";
  /** What is wrong, or was, and what to do. */
  readonly text: string;
  /** When it was raised and when this was said, ISO 8601. */
  readonly since: string;
  readonly time: string;
}
