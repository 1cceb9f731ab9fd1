"""A figure as a file: the description drawn by matplotlib's Agg, without its global state."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from difflaw.errors import InputError
from difflaw.files import write_atomically
from difflaw.report import spec as s
from difflaw.report.keys import INK
from difflaw.templates import visible

DPI = 150
KINDS = ("png", "pdf", "svg")
GRID, EDGE, PALE = "#e3e3e3", "#888888", "#777777"
TITLE, LABEL, SMALL = 11.5, 10.5, 9.5
"""Font sizes in points."""
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


def save(spec: s.FigureSpec, path: str | Path) -> Path:
    """Write the figure as its suffix says (.png at 150 dpi, .pdf, .svg), whole or not at all; InputError for others."""
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise InputError(f"{path}: a figure's name must end in .png, .pdf or .svg")
    buffer = io.BytesIO()
    draw(spec).savefig(buffer, format=kind, dpi=DPI)
    return write_atomically(path, buffer.getvalue())


def draw(spec: s.FigureSpec) -> Figure:
    """The figure as matplotlib's object."""
    figure, axes = _sheet(spec)
    if not spec.panels:
        axes[0].text(0.5, 0.5, s.NOTHING_YET, **_middle(axes[0]), fontsize=13, color=PALE)
    for index, (axis, panel) in enumerate(zip(axes, spec.panels, strict=False)):
        # Scales first: contour labels and error bars are placed on the axes as they are then.
        _scale(axis, panel)
        for order, mark in enumerate(panel.marks):
            _draw_mark(axis, mark, 2 + 0.01 * order)
        _finish(axis, panel, spec.axis_titles(index))
    if spec.title and any(panel.title for panel in spec.panels):
        figure.suptitle(label_of(spec.title, 200), x=0.01, ha="left", fontsize=TITLE, fontweight="bold", color=INK)
    if spec.bar is not None:
        _draw_bar(figure, axes, spec.bar)
    _draw_legend(figure, axes, spec)
    return figure


def label_of(text: object, limit: int = 40) -> str:
    """Text safe as a matplotlib label: no mathtext, no control characters, not hidden from legends."""
    shown = visible(text, limit).replace("\n", " ")
    # A dollar starts mathtext (which raises on bad input); a leading underscore hides a legend entry.
    shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def _sheet(spec: s.FigureSpec) -> tuple[Figure, list[Axes]]:
    """A figure with its panels' axes in rows, laid out without overlaps."""
    panels, across = max(1, len(spec.panels)), spec.columns
    down = math.ceil(panels / across)
    width, height = spec.panel_size
    figure = Figure(figsize=(width * across, height * down), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = [axis for row in figure.subplots(down, across, squeeze=False) for axis in row]
    for spare in axes[panels:]:
        spare.remove()
    for axis in axes[:panels]:
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axis.spines[side].set_color(EDGE)
    if not any(panel.title for panel in spec.panels):
        axes[0].set_title(label_of(spec.title, 80), loc="left", fontsize=TITLE, fontweight="bold", color=INK)
    if not spec.panels:
        axes[0].set_xticks([])
        axes[0].set_yticks([])
    return figure, axes[:panels]


def _middle(axis: Axes) -> dict[str, Any]:
    return {"ha": "center", "va": "center", "transform": axis.transAxes}


def _scale(axis: Axes, panel: s.Panel) -> None:
    for which, described in (("x", panel.x), ("y", panel.y)):
        if described.kind != "plain":
            getattr(axis, f"set_{which}scale")("log")
        if described.limits is not None:
            getattr(axis, f"set_{which}lim")(*described.limits)


def _draw_mark(axis: Axes, mark: s.Mark, order: float) -> None:
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


def _finish(axis: Axes, panel: s.Panel, titles: tuple[str, str]) -> None:
    """Axis titles, ticks and a quiet grid; last, because ticks depend on the limits."""
    if panel.grid:
        axis.grid(True, color=GRID, linewidth=0.7)
    axis.set_axisbelow(True)
    for which, described, title in (("x", panel.x, titles[0]), ("y", panel.y, titles[1])):
        _set_ticks(axis, which, described)
        getattr(axis, f"set_{which}label")(label_of(title, 80), fontsize=LABEL, color=INK)
    axis.tick_params(labelsize=SMALL, colors=INK)
    if panel.title:
        colour = panel.colour or INK
        axis.set_title(label_of(panel.title), loc="left", fontsize=TITLE, fontweight="bold", color=colour)


def _set_ticks(axis: Axes, which: str, described: s.Axis) -> None:
    if described.kind == "plain":
        return
    ruler = axis.xaxis if which == "x" else axis.yaxis
    low, high = axis.get_xlim() if which == "x" else axis.get_ylim()
    ruler.set_major_locator(_locator(described, math.log10(high / low) if 0 < low < high else 1.0))
    write = s.WRITE[described.kind]
    # Five digits, trailing zeros cut: ticks 1.745 and 1.75 must not both read "1.75".
    ruler.set_major_formatter(FuncFormatter(lambda value, _: write(value, 5)))
    ruler.set_minor_locator(NullLocator())
    ruler.set_minor_formatter(NullFormatter())


def _locator(described: s.Axis, decades: float) -> FixedLocator | MaxNLocator | LogLocator:
    if described.ticks:
        return FixedLocator(described.ticks)
    if described.kind == "loss" and decades < 1.3:
        # A loss rarely spans a decade, where a log locator would print one tick or none.
        return MaxNLocator(6, steps=[1, 2, 2.5, 5, 10])
    if decades < 0.5:
        return MaxNLocator(4, steps=[1, 2, 5, 10])
    if decades < 2.2:
        return LogLocator(10, subs=(1.0, 2.0, 5.0) if decades < 1.5 else (1.0, 3.0))
    return LogLocator(10, subs=(1.0,), numticks=8)


def _draw_bar(figure: Figure, axes: Sequence[Axes], bar: s.ColourBar) -> None:
    colours = LinearSegmentedColormap.from_list("scale", list(bar.colours))
    drawn = figure.colorbar(ScalarMappable(LogNorm(bar.low, bar.high), colours), ax=list(axes), aspect=40, pad=0.01)
    drawn.set_label(label_of(bar.title), fontsize=LABEL, color=INK)
    drawn.outline.set_edgecolor(EDGE)  # type: ignore[operator]
    drawn.ax.yaxis.set_major_locator(_locator(s.Axis("", bar.kind), math.log10(bar.high / bar.low)))
    drawn.ax.yaxis.set_minor_locator(NullLocator())
    drawn.ax.tick_params(labelsize=SMALL, colors=INK)
    write = s.WRITE[bar.kind]
    drawn.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: write(value, 3)))


def _draw_legend(figure: Figure, axes: Sequence[Axes], spec: s.FigureSpec) -> None:
    """One legend for the whole figure, outside the panels, so that it hides nothing."""
    if not spec.legend:
        return
    handles, labels = [_handle(entry) for entry in spec.legend], [label_of(entry.label, 60) for entry in spec.legend]
    shown: dict[str, Any] = {"frameon": False, "fontsize": SMALL, "labelcolor": INK}
    if spec.legend_title:
        shown |= {"title": label_of(spec.legend_title), "title_fontsize": SMALL}
    if spec.legend_at == "right":
        axes[0].legend(handles, labels, loc="center left", bbox_to_anchor=(1.01, 0.5), **shown)
    else:
        columns = _columns(labels, figure.get_figwidth())
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, **shown)


def _columns(labels: Sequence[str], inches: float) -> int:
    """As many columns as fit side by side, at ten characters an inch and eight for a key."""
    room, widths = 10 * inches, [len(label) + 8 for label in labels]
    return len(labels) if sum(widths) <= room else max(1, int(room // max(widths)))


def _handle(entry: s.LegendEntry) -> Line2D:
    face, rim = _face_and_rim(entry.colour, entry.symbol, entry.hollow)
    line = Line2D([], [], color=entry.colour, lw=entry.width, ls="" if entry.dash is None else DASHES[entry.dash])
    if entry.symbol:
        line.set_marker(MARKERS[entry.symbol])
        line.set_markersize(10 if entry.symbol == "star" else 6.5)
        line.set_markerfacecolor(face)
        line.set_markeredgecolor(rim)
    return line
