"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
const options = { responsive: true, displaylogo: false, displayModeBar: "hover",
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"], toImageButtonOptions: { scale: 2 } };
for (const [name, spec] of Object.entries(figures)) {
  const place = document.getElementById("plot-" + name);
  const waiting = place.querySelector("p");
  Plotly.newPlot(place, spec.data, spec.layout, options).then(() => { if (waiting) waiting.remove(); });
}
