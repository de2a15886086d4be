import type { MapReply } from "../../../src/server/protocol-console.ts";
import { useConsole } from "../context.ts";

/** Which class is answered as which, each picture left out in turn. */
export function ConfusionMatrix({ map }: { map: MapReply }) {
  const { t } = useConsole();
  const labels = [...new Set(map.samples.map(({ label }) => label))].sort();
  const columns = [...labels, "\nambiguous", "\nunknown"];
  const counts = new Map<string, number>();
  const totals = new Map<string, number>();
  for (const { label, leftOut } of map.samples) {
    if (!leftOut) continue;
    const answer = leftOut.kind === "known" ? leftOut.nearest : `\n${leftOut.kind}`;
    const key = `${label}\t${answer}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    totals.set(label, (totals.get(label) ?? 0) + 1);
  }
  const nameOf = (column: string): string =>
    column === "\nambiguous" ? t.kind.ambiguous : column === "\nunknown" ? t.kind.unknown : column;
  return (
    <div className="card">
      <h2 id="matrix">{t.quality.matrix}</h2>
      <p className="hint mb-2">{t.quality.matrixLead}</p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <section className="relative overflow-x-auto" tabIndex={0} aria-labelledby="matrix">
        <table className="text-sm tabular-nums">
          <thead>
            <tr>
              <td />
              {columns.map((column) => (
                <th
                  key={column}
                  scope="col"
                  className="max-w-28 min-w-14 px-2 py-1 font-medium wrap-break-word text-quiet"
                >
                  {nameOf(column)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {labels.map((label) => (
              <tr key={label}>
                <th scope="row" className="max-w-40 min-w-24 py-1 pr-3 text-left font-medium wrap-break-word">
                  {label}
                </th>
                {columns.map((column) => {
                  const n = counts.get(`${label}\t${column}`) ?? 0;
                  const share = n / (totals.get(label) ?? 1);
                  const colour = column === label ? "var(--color-known)" : "var(--color-unknown)";
                  return (
                    <td
                      key={column}
                      className="h-9 min-w-12 border border-rule px-2 text-center"
                      style={{
                        background: `color-mix(in srgb, ${colour} ${Math.round(30 * share)}%, transparent)`,
                      }}
                    >
                      {n > 0 ? n : <span className="sr-only">0</span>}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </div>
  );
}
