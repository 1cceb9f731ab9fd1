"""Loss against compute: the frontier of all families in one picture, and every run's curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from difflaw.formatting import scientific, short_count, significant
from difflaw.law.results import FittedFamilies
from difflaw.report.colours import in_order, style_of
from difflaw.report.keys import INK, Scale, scale_of
from difflaw.report.law_lines import best_point, law_pieces, profiles_of
from difflaw.report.law_marks import law_legend, law_marks, minimum_mark
from difflaw.report.runs import RunCurve, curves_of, envelope, families_of, few
from difflaw.report.spec import (
    Axis,
    FigureSpec,
    LegendEntry,
    LineMark,
    Mark,
    Panel,
    PointMark,
    RuleMark,
    empty,
    padded,
)

LOSS = "loss (nats per token)"
FLOPS = "training FLOPs"
MOST_DRAWN = 300
"""With twice as many runs of a family, every second is drawn, and so on."""
MOST_POINTS = 4_000
"""Evaluations drawn, all runs together, as long as each run keeps ``FEWEST``: the page must stay small."""
FEWEST = 8
MOST_STEPS = 400
"""Of the stairs drawn for a family without a law."""
CLOSE = 3.0
"""Budgets within this factor get room on both sides, or the spread within a budget would look like budgets."""


def flops_axis(values: Sequence[float]) -> Axis:
    """Training FLOPs, with room around budgets that lie close together."""
    low, high = (min(values), max(values)) if len(values) else (1.0, 10.0)
    return Axis(FLOPS, "power", padded(values, 2.0 if high < CLOSE * low else 1.0))


def frontier(table: pd.DataFrame, laws: FittedFamilies | None, entropy_floor: float | None = None) -> FigureSpec:
    """Lowest loss against compute, all families in one picture: fitted minima, laws L*(C) and their bands.

    A family without a law shows the envelope of its runs instead. ``entropy_floor`` (nats per token) is drawn where
    the corpus' entropy is known: no model goes below it.
    """
    title, curves = "Loss against compute", curves_of(table)
    families = families_of(curves, laws)
    marks: list[Mark] = []
    fitted = envelopes = False
    # The bands of a law with one degree of freedom would fill the sheet: the data choose the scale, not they.
    x: list[float] = []
    y: list[float] = []
    for family in families:
        law = laws.families[family].loss_law if laws is not None and family in laws.families else None
        if law is not None:
            fitted, ahead = True, law_pieces(law)[1]
            marks += law_marks(law, family, "loss", len(families) > 2, lambda v: significant(v, 4))
            x += [law.x_range[0], float(ahead.x[-1])]
            y += [law(law.x_range[0]), float(ahead.y[-1])]
        else:
            flops, loss = (v[few(len(v), MOST_STEPS)] for v in envelope(curves, family))
            envelopes = envelopes or len(loss) > 0
            hover = [f"{family}\nbest run so far: {significant(v, 4)}" for v in loss]
            colour = style_of(family).colour
            marks.append(LineMark(flops, loss, colour, "dashdot", 1.4, stairs=True, group=family, hover=hover))
            x, y = x + list(flops), y + list(loss)
        minima = _minima(laws, family)
        marks += minima
        x, y = x + [m.x[0] for m in minima], y + [m.y[0] for m in minima]
    if not y:
        return empty(title)
    legend = law_legend(laws, families, fitted)
    if envelopes:
        legend += (LegendEntry("best run, no law", INK, "dashdot", width=1.4),)
    if entropy_floor is not None and math.isfinite(entropy_floor) and entropy_floor > 0:
        marks.append(RuleMark(entropy_floor, INK, "dot"))
        legend += (LegendEntry(f"entropy of the corpus: {significant(entropy_floor, 4)}", INK, "dot", width=1.2),)
        y.append(entropy_floor)
    panel = Panel("", flops_axis(x), Axis(LOSS, "loss", (min(y) * 0.96, max(y) * 1.04)), tuple(marks))
    return FigureSpec((panel,), title, legend, legend_at="right", panel_size=(9.0, 5.6))


def _minima(laws: FittedFamilies | None, family: str) -> list[PointMark]:
    marks = []
    for profile in profiles_of(laws, family):
        at = best_point(profile)
        if at is not None:
            sizes = f"N* {short_count(at.params)}, D* {short_count(at.tokens)}"
            hover = f"{family}\n{scientific(profile.flops)} FLOPs\nloss {significant(at.loss, 4)}\n{sizes}"
            marks.append(minimum_mark(profile.flops, at.loss, family, at.sound, hover))
    return marks


def loss_curves(table: pd.DataFrame) -> FigureSpec:
    """Loss of every run against its FLOPs, a panel a family, coloured by size; broken runs dotted with a cross."""
    title = "Loss curves"
    curves = [curve for curve in curves_of(table) if len(curve.loss)]
    if not curves:
        return empty(title)
    sizes = scale_of((curve.params for curve in curves), "count", "parameters", "parameters", symbol="")
    x = Axis(FLOPS, "power", padded((v for curve in curves for v in curve.flops), 1.15))
    y = Axis(LOSS, "loss", padded((v for curve in curves for v in curve.loss), 1.02))
    most = max(FEWEST, MOST_POINTS // len(curves))
    panels = []
    for family in in_order(curve.family for curve in curves):
        own = [curve for curve in curves if curve.family == family]
        marks = [mark for run in own[:: max(1, len(own) // MOST_DRAWN)] for mark in _curve_marks(run, sizes, most)]
        panels.append(Panel(family, x, y, tuple(marks)))
    legend = sizes.entries
    if any(curve.broken for curve in curves):
        legend += (LegendEntry("diverged or failed", INK, "dot", "x-thin"),)
    return FigureSpec(tuple(panels), "", legend, bar=sizes.bar, linked="xy")


def _curve_marks(run: RunCurve, sizes: Scale, most: int) -> list[Mark]:
    chosen = few(len(run.loss), most)
    flops, tokens, loss = run.flops[chosen], run.tokens[chosen], run.loss[chosen]
    known = run.params in sizes.colours
    colour, group = (sizes.colours[run.params], sizes.group(run.params)) if known else (INK, "")
    of = f"{run.run}\n{short_count(run.params)} parameters, {run.status}"
    hover = [
        f"{of}\n{scientific(c)} FLOPs, {short_count(d)} tokens\nloss {significant(v, 4)}"
        for c, d, v in zip(flops, tokens, loss, strict=True)
    ]
    marks: list[Mark] = [
        LineMark(flops, loss, colour, "dot" if run.broken else "solid", 1.2, group=group),
        PointMark(flops, loss, colour, size=3, group=group, hover=hover),
    ]
    if run.broken:
        marks.append(PointMark(flops[-1:], loss[-1:], colour, "x-thin", 8, group=group))
    return marks
