"""What a figure shows as matplotlib draws it: each mark, and the keys of the legend."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from difflaw.report import spec as s
from difflaw.report.keys import INK
from difflaw.templates import visible

GRID = "#e3e3e3"
MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "diamond-tall": "d",
    "cross": "P",
    "x": "X",
    "x-thin": "x",
    "triangle-up": "^",
    "triangle-down": "v",
    "triangle-left": "<",
    "triangle-right": ">",
    "pentagon": "p",
    "hexagon": "h",
    "hexagon2": "H",
    "octagon": "8",
    "star": "*",
    "ring": "o",
}
DASHES: dict[str, Any] = {"solid": "-", "dash": "--", "dot": (0, (1, 1.5)), "dashdot": "-."}


def label_of(text: object, limit: int = 40) -> str:
    """Text safe as a matplotlib label: no mathtext, no control characters, not hidden from legends."""
    shown = visible(text, limit).replace("\n", " ")
    # A dollar starts mathtext (which raises on bad input); a leading underscore hides a legend entry.
    shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def draw_mark(axis: Axes, mark: s.Mark, order: float) -> None:
    """Draw a mark; ``order`` puts it above what was drawn before."""
    match mark:
        case s.LineMark():
            style: dict[str, Any] = {"color": mark.colour, "lw": mark.width, "ls": DASHES[mark.dash]}
            style |= {"drawstyle": "steps-post" if mark.stairs else "default", "alpha": mark.opacity}
            axis.plot(mark.x, mark.y, zorder=order, **style)
        case s.PointMark():
            _draw_points(axis, mark, order)
        case s.BandMark():
            axis.fill_between(mark.x, mark.low, mark.high, color=mark.colour, alpha=mark.opacity, lw=0)
            for edge in (mark.low, mark.high):
                axis.plot(mark.x, edge, color=mark.colour, lw=0.6, alpha=0.45)
        case s.ContourMark():
            axis.contourf(mark.x, mark.y, np.maximum(mark.z, 0), levels=[0, *mark.levels], colors=mark.colours)
            lines = axis.contour(mark.x, mark.y, mark.z, levels=mark.levels, colors=mark.line, linewidths=0.6)
            if mark.labelled:
                axis.clabel(lines, fmt=lambda v: f"{v:g}{mark.unit}", fontsize=8, inline_spacing=3)
        case s.RuleMark():
            axis.axhline(mark.y, color=mark.colour, lw=1.2, ls=DASHES[mark.dash])
        case s.TextMark():
            box = {"facecolor": "white", "alpha": 0.7, "edgecolor": GRID, "pad": 0.8}
            place: dict[str, Any] = {"ha": "left", "va": "top", "zorder": order, "fontsize": 7.5, "color": INK}
            axis.text(mark.x, mark.y, label_of(mark.text), bbox=box, clip_on=True, **place)


def _draw_points(axis: Axes, mark: s.PointMark, order: float) -> None:
    if len(mark.low) and len(mark.high):
        y, low, high = (np.asarray(v, float) for v in (mark.y, mark.low, mark.high))
        bars = np.nan_to_num(np.maximum([y - low, high - y], 0))
        axis.errorbar(mark.x, mark.y, bars, fmt="none", ecolor=mark.colour, elinewidth=1.0, capsize=2.5)
    face, rim = _face_and_rim(mark.colour, mark.symbol, mark.hollow, mark.rim)
    style: dict[str, Any] = {"marker": MARKERS[mark.symbol], "ms": mark.size, "mfc": face, "mec": rim}
    style["mew"] = _rim_width(mark)
    axis.plot(mark.x, mark.y, ls="", color=mark.colour, alpha=mark.opacity, zorder=1 + order, **style)


def _rim_width(mark: s.PointMark) -> float:
    if mark.symbol == "x-thin":
        return 2.0
    if mark.opacity < 1 and not (mark.hollow or mark.rim):
        return 0.0  # an outline would show through its own symbol
    return 0.5 if mark.size < 4 else 1.0


def _face_and_rim(colour: str, symbol: str, hollow: bool, rim: str = "") -> tuple[str, str]:
    if symbol == "x-thin":
        return colour, colour
    if symbol == "ring":
        return "none", colour
    return ("white" if hollow else colour), (rim or colour)


def legend_handle(entry: s.LegendEntry) -> Line2D:
    """The key of a legend entry."""
    face, rim = _face_and_rim(entry.colour, entry.symbol, entry.hollow)
    line = Line2D([], [], color=entry.colour, lw=entry.width, ls="" if entry.dash is None else DASHES[entry.dash])
    if entry.symbol:
        line.set_marker(MARKERS[entry.symbol])
        line.set_markersize(10 if entry.symbol == "star" else 6.5)
        line.set_markerfacecolor(face)
        line.set_markeredgecolor(rim)
    return line
