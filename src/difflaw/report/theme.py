"""The page's style sheet and the few lines of script that draw its figures."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #5b6470; --paper: #fbfbfa; --card: #ffffff; --line: #dfe2e6;
  --accent: #2f4bb8; --good: #17643a; --warn: #8a4b00; --bad: #a3132b; --wash: #f1f3f6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a3abb5; --paper: #15181c; --card: #1c2025;
  --line: #343a42; --accent: #9db2ff; --good: #7fd6a3; --warn: #f0b766; --bad: #ff9aa8; --wash: #242930; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1.5rem; }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem 1rem; z-index: 9; }
.frame { max-width: 1240px; margin: 0 auto; padding: 2rem 1.5rem 4rem; display: grid;
  grid-template-columns: 13rem minmax(0, 1fr); gap: 2.5rem; }
nav { position: sticky; top: 1.5rem; align-self: start; max-height: calc(100vh - 3rem); overflow: auto;
  font-size: .9rem; }
nav h2 { font-size: .78rem; text-transform: uppercase; letter-spacing: .08em; color: var(--soft); margin: 0 0 .5rem; }
nav ol { list-style: none; margin: 0; padding: 0; border-left: 1px solid var(--line); }
nav a { display: block; padding: .22rem .9rem; color: var(--soft); text-decoration: none; }
nav a:hover, nav a:focus { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 3rem 0 .8rem; padding-top: .6rem; border-top: 1px solid var(--line); }
section:first-of-type h2 { margin-top: 1.5rem; }
p { max-width: 46rem; overflow-wrap: anywhere; }
.sub, figcaption, caption, small, footer { color: var(--soft); }
.lead { font-size: 1.08rem; max-width: 46rem; padding-left: 1.2rem; overflow-wrap: anywhere; }
.lead li { margin: .35rem 0; }
figure { margin: 1rem 0; }
figcaption { font-size: .9rem; max-width: 52rem; margin-top: .5rem; }
.picture { background: #ffffff; border: 1px solid var(--line); border-radius: 8px; padding: .5rem; }
.plot { background: #ffffff; border: 1px solid var(--line); border-radius: 8px; padding: .5rem; overflow: hidden; }
.note { border-left: 4px solid var(--warn); background: var(--wash); padding: .7rem 1rem; border-radius: 0 6px 6px 0;
  max-width: 52rem; overflow-wrap: anywhere; }
.note ul { margin: 0; padding-left: 1.1rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background: var(--card);
  margin: 1rem 0; }
.tall { max-height: 34rem; overflow: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
caption { text-align: left; padding: .6rem .8rem; font-size: .88rem; }
th, td { text-align: left; vertical-align: top; padding: .42rem .8rem; border-top: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 500; }
tbody tr:hover { background: var(--wash); }
.num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td small, td div small { display: block; font-size: .8rem; min-width: 11rem; }
.swatch { display: inline-block; width: .72em; height: .72em; border-radius: 2px; margin-right: .5em;
  border: 1px solid var(--soft); }
.chip { display: inline-block; padding: 0 .5em; border-radius: 1em; border: 1px solid currentColor; font-size: .8rem;
  white-space: nowrap; }
.good { color: var(--good); } .info { color: var(--accent); } .warn { color: var(--warn); } .bad { color: var(--bad); }
pre { background: var(--wash); border: 1px solid var(--line); border-radius: 8px; padding: .9rem 1rem; overflow: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; max-height: 20rem;
  font: .86rem/1.5 ui-monospace, Consolas, monospace; }
.notes { font-size: .85rem; color: var(--soft); max-width: 60rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .35rem 1.2rem; max-width: 52rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
details { margin: 1rem 0; } summary { cursor: pointer; color: var(--accent); }
footer { margin-top: 3rem; font-size: .85rem; border-top: 1px solid var(--line); padding-top: 1rem; }
@media (max-width: 900px) { .frame { grid-template-columns: minmax(0, 1fr); gap: 1rem; padding: 1rem; }
  nav { position: static; max-height: none; } nav ol { columns: 2; } }
@media print { nav, .skip { display: none; } .frame { display: block; max-width: none; } 
  .scroll, .tall { overflow: visible; max-height: none; } section { break-inside: avoid-page; } }
"""

DRAW = """
"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
const options = { responsive: true, displaylogo: false, displayModeBar: "hover",
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"], toImageButtonOptions: { scale: 2 } };
for (const [name, spec] of Object.entries(figures)) {
  const place = document.getElementById("plot-" + name);
  const waiting = place.querySelector("p");
  Plotly.newPlot(place, spec.data, spec.layout, options).then(() => { if (waiting) waiting.remove(); });
}
"""
