import { html } from "./markup.ts";

/** Colours of the series are told apart with any kind of colour vision (Okabe and Ito), and lines by their dashes too. */
export const style = html`:root{color-scheme:light dark;--ground:#fff;--text:#1c2128;--faint:#57606a;--rule:#d8dee4;--panel:#f6f8fa;--on:#fff;--a:#0067a8;--b:#b34700;--c:#00735a;--d:#9a3d77;--e:#7a5c00;--f:#4a4f57}
@media (prefers-color-scheme:dark){:root{--ground:#14171c;--text:#e6e9ed;--faint:#9aa4b0;--rule:#333a44;--panel:#1c2027;--on:#10131a;--a:#56b4e9;--b:#f0904a;--c:#35c49c;--d:#dd92c0;--e:#e3c34a;--f:#b5bcc6}}
@media print{:root{color-scheme:light;--ground:#fff;--text:#000;--faint:#444;--rule:#bbb;--panel:#fff;--on:#fff;--a:#0067a8;--b:#b34700;--c:#00735a;--d:#9a3d77;--e:#7a5c00;--f:#4a4f57}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif;print-color-adjust:exact;-webkit-print-color-adjust:exact}
main{max-width:1180px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:26px;line-height:1.25;margin:0 0 10px;overflow-wrap:anywhere}
h2{font-size:20px;margin:40px 0 14px;padding-bottom:6px;border-bottom:1px solid var(--rule);overflow-wrap:anywhere}
h3{font-size:16px;margin:28px 0 10px}
p{margin:8px 0}
.note,.made{color:var(--faint);font-size:13px}
.tiles{display:flex;flex-wrap:wrap;gap:10px;margin:0 0 16px}
.tiles div{background:var(--panel);border:1px solid var(--rule);border-radius:8px;padding:8px 14px;min-width:110px;max-width:100%}
dt{color:var(--faint);font-size:12.5px}
dd{margin:0;font-size:17px;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:16px;align-items:start;margin:12px 0}
figure{margin:0;padding:12px 14px;border:1px solid var(--rule);border-radius:8px;min-width:0;break-inside:avoid}
figure.wide{grid-column:1/-1}
figure:only-child{max-width:680px}
figure.wide:only-child{max-width:none}
figcaption{font-weight:600;margin-bottom:6px}
svg{display:block;width:100%;height:auto;margin:0 auto}
svg text{font-size:11.5px;fill:var(--text)}
svg .tick text,svg .label{fill:var(--faint)}
.grid line{stroke:var(--rule)}
.axis{stroke:var(--faint)}
.s0{--k:var(--a)}.s1{--k:var(--b)}.s2{--k:var(--c)}.s3{--k:var(--d)}.s4{--k:var(--e)}.s5{--k:var(--f)}
.line{fill:none;stroke:var(--k);stroke-width:1.8;stroke-linejoin:round}
.s1 .line{stroke-dasharray:7 3}.s2 .line{stroke-dasharray:2 3}.s3 .line{stroke-dasharray:9 3 2 3}.s4 .line{stroke-dasharray:4 4}.s5 .line{stroke-dasharray:1 4}
.band{fill:var(--k);fill-opacity:.17}
.dot{fill:var(--k);stroke:var(--ground)}
.whisker{stroke:var(--k);stroke-width:1.5}
.bar{fill:var(--k)}
.track{fill:var(--rule);fill-opacity:.45}
.mark{stroke:var(--text);stroke-width:1.4;stroke-dasharray:5 4}
.heat rect{stroke:var(--rule);stroke-width:.6}
.hit{fill:var(--a)}.miss{fill:var(--b)}
.heat text{font-size:10.5px}
.heat .on{fill:var(--on)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 16px;margin:0 0 4px;padding:0;font-size:12.5px;color:var(--faint)}
.legend li::before{content:"";display:inline-block;width:12px;height:12px;border-radius:3px;background:var(--k);margin-right:6px;vertical-align:-1px}
.advice dt{color:var(--text);font-weight:600;font-size:15px}
.advice dd{font-size:15px;margin:0 0 8px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums;margin:6px 0}
th,td{padding:4px 12px 4px 0;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top;word-break:keep-all}
th{color:var(--faint);font-weight:600}
.n{text-align:right;white-space:nowrap}
details{margin-top:6px;font-size:13px}
summary{cursor:pointer;color:var(--faint)}
.folded{margin:12px 0}
.folded td{overflow-wrap:anywhere}
.folded summary{font-size:15px;font-weight:600;color:var(--text)}
@media print{main{max-width:none;padding:0}h2,h3{break-after:avoid}section+section{break-before:page}figure details:not([open]){display:none}.figures{grid-template-columns:1fr 1fr}}`;
