/** From numbers to places on a page. */
export interface Scale {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
  /** The digits that tell the ticks apart. */
  readonly digits: number;
  /** Place of a value, 0 at `from` and 1 at `to`. */
  at(value: number): number;
}

const steps = [1, 2, 2.5, 5, 10];

/** A scale over the finite ones of these values, about `count` round ticks, its ends at ticks unless they are given. */
export function scaleOf(
  values: Iterable<number>,
  ends: { readonly from?: number; readonly to?: number } = {},
  count = 5,
): Scale {
  let [low, high] = [ends.from ?? Infinity, ends.to ?? -Infinity];
  for (const value of values)
    if (Number.isFinite(value)) {
      if (ends.from === undefined && value < low) low = value;
      if (ends.to === undefined && value > high) high = value;
    }
  if (low === Infinity || high === -Infinity) [low, high] = [0, 1];
  // One value, or some that differ by no more than rounding, get a range of their own size.
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (!(high - low > Math.max(1e-12 * size, 1e-30))) high = low + (size > 1e-30 ? size : 1);
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * steps.find((factor) => factor * power >= rough * (1 - 1e-9))!;
  const from = ends.from ?? Math.floor(low / step + 1e-9) * step;
  const to = ends.to ?? Math.ceil(high / step - 1e-9) * step;
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  // 2.5 and 0.25 need one digit more than their power of ten.
  const more = Math.abs(step / power - 2.5) < 1e-9 && step < 10 ? 1 : 0;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) + more;
  return { from, to, ticks, digits, at: (value) => (value - from) / (to - from) };
}

/** A number in few signs: `12 000`, `0.05`, `1.5e−5`; `–` where it is none. */
export function numberText(value: number, digits: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value !== 0 && Math.abs(value) < 1e-3) return String(Number(value.toPrecision(3))).replace("-", "−");
  const [whole, fraction] = Math.abs(value).toFixed(digits).split(".") as [string, string?];
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, "\u2009") : whole;
  return `${value < 0 ? "−" : ""}${grouped}${fraction === undefined ? "" : `.${fraction}`}`;
}

/** A fraction of 1. */
export const percentText = (share: number | null | undefined, digits = 2): string =>
  share === null || share === undefined || !Number.isFinite(share)
    ? "–"
    : `${(100 * share).toFixed(digits)} %`;
