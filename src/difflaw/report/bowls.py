"""Loss against learning rate, where a ladder tried several: shows whether, and at which sizes, the rate is tuned."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from difflaw.report.canvas import finish, label_of, legend_below, sheet, styled
from difflaw.report.colours import in_order, sequence
from difflaw.report.series import Bowl, bowls_of, curves_of


@styled
def learning_rate_bowls(table: pd.DataFrame) -> Figure | None:
    """Final loss against learning rate, a panel a family, a line a shape, batch and horizon; None without a choice.

    Dots are runs, lines join the means over seeds; a cross at the top marks a rate at which a run broke.
    """
    bowls = bowls_of(curves_of(table))
    if not bowls:
        return None
    families = in_order(bowl.family for bowl in bowls)
    labels = list(dict.fromkeys(bowl.label for bowl in sorted(bowls, key=_size)))
    colours = dict(zip(labels, sequence(len(labels)), strict=True))
    figure, axes = sheet(len(families))
    handles = {}
    for axis, family in zip(axes, families, strict=True):
        for bowl in (bowl for bowl in bowls if bowl.family == family):
            colour = colours[bowl.label]
            (handles[bowl.label],) = axis.plot(bowl.rates, bowl.losses, color=colour, lw=1.5)
            axis.plot(*zip(*bowl.points, strict=True), "o", color=colour, ms=4.5)
            best = min(zip(bowl.losses, bowl.rates, strict=True))
            # A best rate at the end of those tried is no minimum: hollow, as everywhere in the report.
            inside = min(bowl.rates) < best[1] < max(bowl.rates)
            axis.plot(best[1], best[0], "*", ms=13, color=colour, mfc=colour if inside else "white")
            for rate in bowl.diverged:
                axis.plot(rate, 0.96, "x", color=colour, ms=8, mew=2, transform=axis.get_xaxis_transform())
        axis.set_title(label_of(family), loc="left", fontweight="bold")
    columns = min(3, len(axes))
    for index, axis in enumerate(axes):
        low, high = axis.dataLim.x0, axis.dataLim.x1
        axis.set_xlim(low / 1.3, high * 1.3)
        finish(axis, ("learning rate", "power"), ("final loss (nats per token)", "loss"))
        rates = sorted({rate for bowl in bowls if bowl.family == families[index] for rate in bowl.rates})
        if len(rates) <= 5:
            axis.xaxis.set_major_locator(FixedLocator(rates))
        if index % columns:
            axis.set_ylabel("")
        if index + columns < len(axes):
            axis.set_xlabel("")
    shown = [label for label in labels if label in handles][:14]
    legend_below(figure, [handles[label] for label in shown], shown, "width×depth, batch, horizon")
    return figure


def _size(bowl: Bowl) -> tuple[float, str]:
    width = bowl.label.split("×")[0]
    return (float(width) if width.isdigit() else math.inf, bowl.label)
