"""A figure described once, whatever draws it: panels with axes, marks, and a legend. All texts raw, not yet escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from difflaw.formatting import scientific, short_count, significant

AxisKind = Literal["count", "power", "loss", "plain"]
Dash = Literal["solid", "dash", "dot", "dashdot"]
Values = Sequence[float] | np.ndarray
Hover = Sequence[str]
"""A label a point, lines parted by newlines; empty for none."""

COLUMNS = 3
"""Most panels in a row."""
NOTHING_YET = "nothing finished yet"
WRITE: dict[AxisKind, Callable[[float, int], str]] = {
    "count": short_count,
    "power": scientific,
    "loss": significant,
    "plain": significant,
}
"""How the ticks of each kind of axis read: 198k, 2e12, 3.25."""


@dataclass(frozen=True)
class Axis:
    """Title, kind (all but "plain" are logarithmic) and limits; without limits the data choose them."""

    title: str
    kind: AxisKind
    limits: tuple[float, float] | None = None
    ticks: tuple[float, ...] = ()
    """Where ticks must be; empty for round numbers."""


@dataclass(frozen=True, eq=False)
class LineMark:
    """Points joined by a line, or by stairs; ``group`` is the legend entry it belongs to and hides with."""

    x: Values
    y: Values
    colour: str
    dash: Dash = "solid"
    width: float = 1.8
    opacity: float = 1.0
    stairs: bool = False
    group: str = ""
    hover: Hover = ()


@dataclass(frozen=True, eq=False)
class PointMark:
    """Points with one symbol (plotly's name); hollow ones do not count as evidence.

    ``low`` and ``high`` are the ends of vertical error bars, NaN or empty for none.
    """

    x: Values
    y: Values
    colour: str
    symbol: str = "circle"
    size: float = 7.0
    hollow: bool = False
    rim: str = ""
    """Colour of the outline; "" for the symbol's own."""
    opacity: float = 1.0
    low: Values = ()
    high: Values = ()
    group: str = ""
    hover: Hover = ()


@dataclass(frozen=True, eq=False)
class BandMark:
    """The area between two curves, with thin edges."""

    x: Values
    low: Values
    high: Values
    colour: str
    opacity: float = 0.1
    group: str = ""


@dataclass(frozen=True, eq=False)
class ContourMark:
    """Filled contours of ``z`` (rows along y, columns along x); ``colours`` fill from 0 up to each level in turn."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    levels: tuple[float, ...]
    colours: tuple[str, ...]
    line: str
    unit: str = ""
    labelled: bool = False


@dataclass(frozen=True)
class RuleMark:
    """A horizontal line across the panel."""

    y: float
    colour: str
    dash: Dash = "solid"
    group: str = ""


@dataclass(frozen=True)
class TextMark:
    """Small print whose top left corner is at a point."""

    x: float
    y: float
    text: str


Mark = LineMark | PointMark | BandMark | ContourMark | RuleMark | TextMark


@dataclass(frozen=True, eq=False)
class Panel:
    """One pair of axes and what is drawn between them, in order."""

    title: str
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    colour: str = ""
    """Of the title; "" for the usual ink."""
    grid: bool = True


@dataclass(frozen=True)
class LegendEntry:
    """What a colour, symbol or dash means; an entry with a ``group`` stands for all marks of that group."""

    label: str
    colour: str
    dash: Dash | None = "solid"
    """None for a symbol without a line."""
    symbol: str = ""
    hollow: bool = False
    width: float = 1.8
    group: str = ""


@dataclass(frozen=True)
class ColourBar:
    """A logarithmic scale of colours, where a legend would have too many entries."""

    title: str
    low: float
    high: float
    colours: tuple[str, ...]
    kind: AxisKind
    ticks: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class FigureSpec:
    """Panels in rows of at most ``COLUMNS``; without a panel, a bare sheet that says nothing has finished."""

    panels: tuple[Panel, ...]
    title: str = ""
    legend: tuple[LegendEntry, ...] = ()
    legend_title: str = ""
    legend_at: Literal["below", "right"] = "below"
    """In files; the page has it below."""
    bar: ColourBar | None = None
    linked: Literal["", "x", "xy"] = ""
    """Axes that zoom together on the page."""
    panel_size: tuple[float, float] = (4.2, 3.5)
    """Inches, in files."""

    @property
    def columns(self) -> int:
        """Panels in a row."""
        return max(1, min(COLUMNS, len(self.panels)))

    def axis_titles(self, index: int) -> tuple[str, str]:
        """Titles of a panel's axes; "" where the panel below or to the left says the same."""
        panel = self.panels[index]
        below = index + self.columns < len(self.panels)
        x = "" if below and self.panels[index + self.columns].x.title == panel.x.title else panel.x.title
        y = "" if index % self.columns and self.panels[index - 1].y.title == panel.y.title else panel.y.title
        return x, y


def empty(title: str) -> FigureSpec:
    """The figure of a ladder of which nothing has finished."""
    return FigureSpec((), title, panel_size=(8.0, 4.5))


def padded(values: Iterable[float], factor: float = 1.0) -> tuple[float, float] | None:
    """Limits of a logarithmic axis around the values: by ``factor``, or by 5 % of their range; None without values."""
    found = [float(v) for v in values if np.isfinite(v) and v > 0]
    if not found:
        return None
    low, high = min(found), max(found)
    pad = max(factor, (high / low) ** 0.05, 1.001)
    return low / pad, high * pad
