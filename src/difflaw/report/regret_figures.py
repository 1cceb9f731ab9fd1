"""The regret map of laws: loss that a size and a number of tokens give up against the best use of the same FLOPs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from difflaw.formatting import scientific
from difflaw.law.results import FamilyLaws, FittedFamilies, Surface
from difflaw.report.keys import INK, STAR
from difflaw.report.law_lines import budgets_of
from difflaw.report.runs import few
from difflaw.report.spec import Axis, ContourMark, FigureSpec, LegendEntry, LineMark, Mark, Panel, PointMark, TextMark
from difflaw.report.surfaces import best_line, families_with_surface, surface_points, surface_regret

LEVELS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Per cent of the loss that lines are drawn at."""
FILLS = ("#fbfdf3", "#eaf6d5", "#d3ecc9", "#b4dcc6", "#91c6c7", "#70a9c6")
POINTS = 81
"""Of the grid along each axis."""
MOST_RUNS = 600
TITLE = "Loss given up against the best use of the same FLOPs"
CONTOUR_ENTRY = LegendEntry(f"loss given up: {', '.join(f'{level:g}' for level in LEVELS)} %", INK, width=0.8)


def panel_size(panels: int) -> tuple[float, float]:
    """Inches of a map: one alone is drawn large."""
    return (7.6, 5.6) if panels == 1 else (4.4, 4.0)


def contours(x: np.ndarray, y: np.ndarray, lost: np.ndarray, labelled: bool) -> ContourMark:
    """Per cent of the loss given up over sizes ``x`` and tokens ``y``, shape (len(y), len(x))."""
    return ContourMark(x, y, lost, LEVELS, FILLS, INK, " %", labelled)


def regret(table: pd.DataFrame, laws: FittedFamilies | None) -> FigureSpec | None:
    """A panel a family: contours in per cent of the loss, runs, budgets, and the line of best sizes.

    Stars lie at the largest budget and at ten times it. None without a surface whose range is known.
    """
    drawable = {f: laws.families[f] for f in families_with_surface(laws) if _drawable(laws.families[f])} if laws else {}
    if not drawable:
        return None
    alone = len(drawable) == 1
    panels = tuple(_law_panel(table, name, fit, budgets_of(laws), alone) for name, fit in drawable.items())
    legend = (
        CONTOUR_ENTRY,
        LegendEntry("runs", INK, None, "circle", hollow=True),
        LegendEntry("equal FLOPs", INK, "dash", width=1.0),
        LegendEntry("best, to ten times the largest", STAR, "solid", "star"),
    )
    return FigureSpec(panels, TITLE, legend, panel_size=panel_size(len(panels)))


def _drawable(fit: FamilyLaws) -> bool:
    surface = fit.surface
    return surface is not None and bool(surface.theta) and all(map(math.isfinite, surface.params_range))


def _law_panel(table: pd.DataFrame, name: str, fit: FamilyLaws, budgets: Sequence[float], alone: bool) -> Panel:
    surface = fit.surface
    assert surface is not None
    given = fit.answer
    known = [at for at in ((given.largest, given.ten_times) if given is not None else ()) if at is not None]
    stars = [(at.params.estimate, at.tokens.estimate) for at in known if at.params and at.tokens]
    x = _span([*surface.params_range, *(star[0] for star in stars)])
    y = _span([*surface.tokens_range, *(star[1] for star in stars)])
    lost = 100 * np.expm1(surface_regret(surface, x[None, :], y[:, None]))
    n, d, _, _ = surface_points(table, name, budgets)
    runs, best = few(len(n), MOST_RUNS), best_line(surface, x, y)
    marks: list[Mark] = [
        contours(x, y, lost, labelled=alone),
        PointMark(n[runs], d[runs], "#ffffff", size=3.2, rim=INK, opacity=0.8),
        *_budget_lines(surface, x, y),
        LineMark(best[0], best[1], STAR, width=1.6),
    ]
    if stars:
        marks.append(PointMark([n for n, _ in stars], [d for _, d in stars], STAR, "star", 14, rim="#ffffff"))
    across, up = Axis("parameters", "count", (x[0], x[-1])), Axis("tokens", "count", (y[0], y[-1]))
    return Panel(name, across, up, tuple(marks), grid=False)


def _span(values: Sequence[float]) -> np.ndarray:
    """A logarithmic grid a little wider than the values."""
    return np.geomspace(min(values) / 1.3, max(values) * 1.3, POINTS)


def _budget_lines(surface: Surface, x: np.ndarray, y: np.ndarray) -> list[Mark]:
    """Lines of equal FLOPs, a decade or more between them, each labelled where it leaves the picture."""
    marks: list[Mark] = []
    k = surface.flops_factor
    low, high = math.log10(k * x[0] * y[0]), math.log10(k * x[-1] * y[-1])
    step = max(1, round((high - low) / 6))
    for power in range(math.ceil(low + 0.4), math.floor(high - 0.4) + 1, step):
        tokens = 10.0**power / k / x
        marks.append(LineMark(x, tokens, INK, "dash", 0.7, opacity=0.7))
        inside = np.flatnonzero((tokens < y[-1] / 1.05) & (tokens > y[0] * 1.05))
        if len(inside):
            at = inside[0]
            marks.append(TextMark(float(x[at]) * 1.06, float(tokens[at]) / 1.06, scientific(10.0**power)))
    return marks
