"""Loss against learning rate, where a ladder tried several: shows whether, and at which sizes, the rate is tuned."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from difflaw.formatting import scientific, significant
from difflaw.report.colours import in_order, sequence
from difflaw.report.rate_sweeps import RateSweep, rate_sweeps
from difflaw.report.runs import curves_of
from difflaw.report.spec import Axis, FigureSpec, LegendEntry, LineMark, Mark, Panel, PointMark, padded

MOST_ENTRIES = 14
FEW_RATES = 5
"""Up to so many rates, each has its tick."""
TOP = 0.96
"""Height of the crosses that mark broken runs, as a share of the panel."""


def learning_rates(table: pd.DataFrame) -> FigureSpec | None:
    """Final loss against learning rate, a panel a family, a line a shape, batch and horizon; None without a choice.

    Dots are runs, lines join the means over seeds; a cross at the top marks a rate at which a run broke.
    """
    sweeps = rate_sweeps(curves_of(table))
    if not sweeps:
        return None
    labels = list(dict.fromkeys(sweep.label for sweep in sorted(sweeps, key=_size)))
    colours = dict(zip(labels, sequence(len(labels)), strict=True))
    families = in_order(sweep.family for sweep in sweeps)
    panels = [_panel(f, [s for s in sweeps if s.family == f], colours) for f in families]
    legend = tuple(LegendEntry(label, colours[label], width=1.5, group=label) for label in labels[:MOST_ENTRIES])
    return FigureSpec(tuple(panels), "", legend, "width×depth, batch, horizon")


def _panel(family: str, sweeps: Sequence[RateSweep], colours: dict[str, str]) -> Panel:
    low, high = padded((y for sweep in sweeps for _, y in sweep.points)) or (1.0, 10.0)
    if any(sweep.diverged for sweep in sweeps):
        # Room above the measured losses, so that no cross is taken for one.
        high *= (high / low) ** 0.15
    top = low * (high / low) ** TOP
    marks = [mark for sweep in sweeps for mark in _marks(sweep, colours[sweep.label], top)]
    rates = sorted({rate for sweep in sweeps for rate in sweep.rates})
    around = padded((rate for sweep in sweeps for rate in (*sweep.rates, *sweep.diverged)), 1.3)
    x = Axis("learning rate", "power", around, tuple(rates) if len(rates) <= FEW_RATES else ())
    return Panel(family, x, Axis("final loss (nats per token)", "loss", (low, high)), tuple(marks))


def _marks(sweep: RateSweep, colour: str, top: float) -> list[Mark]:
    best = min(zip(sweep.losses, sweep.rates, strict=True))
    # A best rate at the end of those tried is no minimum: hollow, as everywhere in the report.
    inside = min(sweep.rates) < best[1] < max(sweep.rates)
    rates, losses = zip(*sweep.points, strict=True)
    hover = [f"{sweep.label}\nrate {scientific(x)}\nloss {significant(y, 4)}" for x, y in sweep.points]
    marks: list[Mark] = [
        LineMark(sweep.rates, sweep.losses, colour, width=1.5, group=sweep.label),
        PointMark(rates, losses, colour, size=4.5, group=sweep.label, hover=hover),
        PointMark([best[1]], [best[0]], colour, "star", 13, hollow=not inside, group=sweep.label),
    ]
    if sweep.diverged:
        hover = [f"{sweep.label}\nrate {scientific(x)}: diverged or failed" for x in sweep.diverged]
        crosses = [top] * len(sweep.diverged)
        marks.append(PointMark(sweep.diverged, crosses, colour, "x-thin", 8, group=sweep.label, hover=hover))
    return marks


def _size(sweep: RateSweep) -> tuple[float, str]:
    width = sweep.label.split("×")[0]
    return (float(width) if width.isdigit() else math.inf, sweep.label)
