"""The regret map: how much loss a size and a number of tokens give up against the best use of the same FLOPs."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from difflaw.files import write_atomically
from difflaw.planning.predict import Forecast
from difflaw.planning.run_plan import RunPlan
from difflaw.report.canvas import INK, finish, label_of, sheet, styled

LEVELS = (0.1, 0.25, 0.5, 1.0, 2.0)
"""Per cent of the loss."""
REACH = 8.0
"""Factor to each side of the plan that is drawn."""


@styled
def regret_map(plans: Sequence[RunPlan], laws: Mapping[str, Forecast]) -> Figure:
    """A panel a family: contours of the loss given up over (parameters, tokens), the budget's line, plan and rivals."""
    figure, axes = sheet(len(plans))
    for index, (axis, p) in enumerate(zip(axes, plans, strict=True)):
        law, factor = laws[p.family], np.geomspace(1 / REACH, REACH, 81)
        power = _power(p)
        sizes, tokens = p.flops_per_token * factor, p.tokens * factor
        params = p.params * factor**power
        lost = [[100 * math.expm1(max(law.regret(m, m * d), 0.0)) for m in sizes] for d in tokens]
        axis.contourf(params, tokens, lost, levels=[0, *LEVELS], cmap="YlGnBu", alpha=0.85)
        lines = axis.contour(params, tokens, lost, levels=LEVELS, colors=INK, linewidths=0.7)
        axis.clabel(lines, fmt=lambda v: f"{v:g} %", fontsize=8)
        axis.plot(params, p.flops / sizes, color=INK, lw=1.2, ls="--")
        for a in p.alternatives:
            axis.plot(a.params, a.tokens, "o", ms=4, mfc="white", mec=INK)
        axis.plot(p.params, p.tokens, "*", ms=14, color="#b30326", mec="white")
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_ylim(tokens[0], tokens[-1])
        axis.set_title(f"{label_of(p.family)}: {p.layers}x{p.width}", loc="left", fontweight="bold")
        finish(axis, (f"parameters ({p.params_convention})", "count"), ("tokens", "count"))
        if index % 3:
            axis.set_ylabel("")
    words = f"Loss given up against the best use\nof the same FLOPs (star: the plan; dashed: {plans[0].flops:.2g})"
    figure.suptitle(words, x=0.01, ha="left", fontsize=10.5)
    return figure


def _power(p: RunPlan) -> float:
    """How params grow with FLOPs per token, from the plan's two intervals; 1 where the law has none."""
    n, m = p.params_interval, p.flops_per_token_interval
    return math.log(n.high / n.low) / math.log(m.high / m.low) if n and m and m.high > m.low else 1.0


def save_regret_map(path: Path, plans: Sequence[RunPlan], laws: Mapping[str, Forecast]) -> None:
    """Draw the map into a PNG at 150 dpi."""
    buffer = io.BytesIO()
    regret_map(plans, laws).savefig(buffer, format="png", dpi=150)
    write_atomically(path, buffer.getvalue())
