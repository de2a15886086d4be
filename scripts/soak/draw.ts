import { linePlot, type Series } from "../../src/report/plots/line-plot.ts";
import type { Window } from "./run.ts";

const style = `svg{font-family:system-ui,sans-serif}text{font-size:11.5px;fill:#1c2128}.tick text,.label{fill:#57606a}.head{font-size:13px;font-weight:600}
.grid line{stroke:#d8dee4}.axis{stroke:#57606a}.s0{--k:#0067a8}.s1{--k:#b34700}.line{fill:none;stroke:var(--k);stroke-width:1.6}.s1 .line{stroke-dasharray:7 3}.name{fill:var(--k);font-size:12px}`;

/** Memory above latency, over the minutes of the run, as one SVG file. */
export function drawSoak(windows: readonly Window[]): string {
  const series = (name: string, of: (it: Window) => number): Series => ({
    name,
    points: windows.map((it) => ({ x: it.minute, y: of(it) })).filter(({ y }) => Number.isFinite(y)),
  });
  const plots = [
    {
      head: "Memory of the server",
      yLabel: "MiB",
      lines: [
        series("resident", ({ rss }) => rss / 2 ** 20),
        series("heap in use", ({ heap }) => heap / 2 ** 20),
      ],
    },
    {
      head: "From a frame to its answer",
      yLabel: "milliseconds",
      lines: [series("p50", ({ p50 }) => p50), series("p99", ({ p99 }) => p99)],
    },
  ];
  const drawn = plots.map(({ head, yLabel, lines }, i) => {
    const { markup } = linePlot({
      title: head,
      xLabel: "minutes",
      yLabel,
      series: lines,
      yEnds: { from: 0 },
    });
    const names = lines
      .map(({ name }, k) => `<text class="s${k} name" x="${220 + 100 * k}" y="16">${name}</text>`)
      .join("");
    return `<g transform="translate(0 ${310 * i})"><text class="head" x="46" y="16">${head}</text>${names}<g transform="translate(0 24)">${markup.replace("<svg ", '<svg width="560" height="270" ')}</g></g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 620" width="840" height="930"><style>${style}</style><rect width="560" height="620" fill="#fff"/>
${drawn.join("\n")}
</svg>
`;
}
