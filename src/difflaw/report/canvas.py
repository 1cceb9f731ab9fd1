"""Sheets, axes and labels that every matplotlib figure of the report shares."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from difflaw.report.markup import visible
from difflaw.report.numbers import compact, scientific, significant
from difflaw.report.series import NOTHING_YET

INK = "#333333"
GRID = "#e3e3e3"
_STYLE: dict[Any, Any] = {
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.labelsize": 10.5,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
}


P = ParamSpec("P")
R = TypeVar("R")


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run ``draw`` under the report's fonts and inks and put the caller's matplotlib settings back."""

    @functools.wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with rc_context(_STYLE):
            return draw(*args, **kwargs)

    return wrapped


def label_of(text: object, limit: int = 40) -> str:
    """Text safe as a matplotlib label: no mathtext, no control characters, not hidden from legends."""
    shown = visible(text, limit).replace("\n", " ")
    # A dollar starts mathtext (which raises on bad input); a leading underscore hides a legend entry.
    shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def sheet(panels: int, columns: int = 3, size: tuple[float, float] = (4.2, 3.5)) -> tuple[Figure, list[Axes]]:
    """A figure with ``panels`` axes in rows of at most ``columns``, laid out without overlaps."""
    across = max(1, min(columns, panels))
    down = max(1, math.ceil(panels / across))
    figure = Figure(figsize=(size[0] * across, size[1] * down), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, across, squeeze=False)
    axes = [axis for row in grid for axis in row]
    for spare in axes[panels:]:
        spare.remove()
    return figure, axes[:panels]


@styled
def empty(title: str, text: str = NOTHING_YET) -> Figure:
    """One bare axes that says why it is bare."""
    figure, (axis,) = sheet(1, size=(8.0, 4.5))
    axis.set_title(title, loc="left")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.text(0.5, 0.5, text, ha="center", va="center", transform=axis.transAxes, fontsize=13, color="#777777")
    return figure


def log_axis(axis: Axes, which: str, kind: str) -> None:
    """Make axis ``which`` ('x' or 'y') logarithmic; ``kind`` 'count' prints 198k, 'power' 2e12, 'loss' 3.25."""
    getattr(axis, f"set_{which}scale")("log")
    ruler = axis.xaxis if which == "x" else axis.yaxis
    low, high = axis.get_xlim() if which == "x" else axis.get_ylim()
    decades = math.log10(high / low) if 0 < low < high else 1.0
    if kind == "loss" and decades < 1.3:
        # A loss rarely spans a decade, where a log locator would print one tick or none.
        ruler.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    elif decades < 0.5:
        ruler.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    elif decades < 2.2:
        ruler.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0) if decades < 1.5 else (1.0, 3.0)))
    else:
        ruler.set_major_locator(LogLocator(10, subs=(1.0,), numticks=8))
    write = {"count": compact, "power": scientific, "loss": significant}[kind]
    # Five digits, trailing zeros cut: ticks 1.745 and 1.75 must not both read "1.75".
    ruler.set_major_formatter(FuncFormatter(lambda value, _: write(value, 5)))
    ruler.set_minor_locator(NullLocator())
    ruler.set_minor_formatter(NullFormatter())


def finish(axis: Axes, x: tuple[str, str] | None, y: tuple[str, str] | None) -> None:
    """Axis titles and kinds, (text, kind), and a quiet grid; last, because ticks depend on the limits."""
    axis.grid(True, color=GRID, linewidth=0.7)
    axis.set_axisbelow(True)
    if x is not None:
        log_axis(axis, "x", x[1])
        axis.set_xlabel(x[0])
    if y is not None:
        log_axis(axis, "y", y[1])
        axis.set_ylabel(y[0])


def _columns(labels: Sequence[str], inches: float) -> int:
    """As many columns as fit beside each other, at ten characters an inch and eight for a key."""
    room, widths = 10 * inches, [len(label) + 8 for label in labels]
    if sum(widths) <= room:
        return len(labels)
    return max(1, int(room // max(widths)))


def legend_below(figure: Figure, handles: Sequence, labels: Sequence[str], title: str | None = None) -> None:
    """One legend for the whole figure, outside the panels, so that it hides nothing."""
    if handles:
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=_columns(labels, figure.get_figwidth()),
            frameon=False,
            title=title,
        )
