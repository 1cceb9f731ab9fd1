"""The regret map of a plan: what other sizes and numbers of tokens around it would give up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from difflaw.formatting import scientific
from difflaw.planning.forecast import Forecast
from difflaw.planning.planner import RunPlan
from difflaw.report.keys import INK, STAR
from difflaw.report.matplotlib_figure import save
from difflaw.report.regret_figures import CONTOUR_ENTRY, POINTS, TITLE, contours, panel_size
from difflaw.report.spec import Axis, FigureSpec, LegendEntry, LineMark, Mark, Panel, PointMark

REACH = 8.0
"""Factor to each side of a plan that is drawn."""


def plan_regret(plans: Sequence[RunPlan], laws: Mapping[str, Forecast]) -> FigureSpec:
    """A panel a planned family: the loss given up around the plan, the budget's line, the plan and its rivals."""
    panels = tuple(_plan_panel(p, laws[p.family]) for p in plans)
    legend = (
        CONTOUR_ENTRY,
        LegendEntry("the plan", STAR, None, "star"),
        LegendEntry("other shapes", INK, None, "circle", hollow=True),
        LegendEntry(f"{scientific(plans[0].flops)} FLOPs", INK, "dash", width=1.2),
    )
    return FigureSpec(panels, TITLE, legend, panel_size=panel_size(len(panels)))


def _plan_panel(p: RunPlan, law: Forecast) -> Panel:
    factor = np.geomspace(1 / REACH, REACH, POINTS)
    sizes, tokens = p.flops_per_token * factor, p.tokens * factor
    params = p.params * factor ** _power(p)
    lost = np.array([[100 * math.expm1(max(law.regret(m, m * d), 0.0)) for m in sizes] for d in tokens])
    marks: list[Mark] = [
        contours(params, tokens, lost, labelled=True),
        LineMark(params, p.flops / sizes, INK, "dash", 1.2),
    ]
    if p.alternatives:
        n, d = [a.params for a in p.alternatives], [a.tokens for a in p.alternatives]
        marks.append(PointMark(n, d, INK, size=4, hollow=True))
    marks.append(PointMark([p.params], [p.tokens], STAR, "star", 14, rim="#ffffff"))
    x = Axis(f"parameters ({p.params_convention})", "count", (params[0], params[-1]))
    y = Axis("tokens", "count", (tokens[0], tokens[-1]))
    return Panel(f"{p.family}: {p.layers}x{p.width}", x, y, tuple(marks), grid=False)


def _power(p: RunPlan) -> float:
    """How params grow with FLOPs per token, from the plan's two intervals; 1 where the law has none."""
    n, m = p.params_interval, p.flops_per_token_interval
    return math.log(n.high / n.low) / math.log(m.high / m.low) if n and m and m.high > m.low else 1.0


def save_regret_map(path: Path, plans: Sequence[RunPlan], laws: Mapping[str, Forecast]) -> None:
    """Draw the map of a plan into a .png, .pdf or .svg file."""
    save(plan_regret(plans, laws), path)
