"""A figure as a file: the description drawn by matplotlib's Agg, without its global state."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from difflaw.errors import InputError
from difflaw.files import write_atomically
from difflaw.report import spec as s
from difflaw.report.keys import INK
from difflaw.report.matplotlib_marks import GRID, draw_mark, label_of, legend_handle

DPI = 150
KINDS = ("png", "pdf", "svg")
EDGE, PALE = "#888888", "#777777"
TITLE, LABEL, SMALL = 11.5, 10.5, 9.5
"""Font sizes in points."""


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
            draw_mark(axis, mark, 2 + 0.01 * order)
        _finish(axis, panel, spec.axis_titles(index))
    if spec.title and any(panel.title for panel in spec.panels):
        figure.suptitle(label_of(spec.title, 200), x=0.01, ha="left", fontsize=TITLE, fontweight="bold", color=INK)
    if spec.bar is not None:
        _draw_bar(figure, axes, spec.bar)
    _draw_legend(figure, axes, spec)
    return figure


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
    handles, labels = (
        [legend_handle(entry) for entry in spec.legend],
        [label_of(entry.label, 60) for entry in spec.legend],
    )
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
