"""What a figure shows as plotly's traces: each mark, legend entry and colour bar, with every text escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from difflaw.formatting import significant
from difflaw.report import spec as s
from difflaw.report.colours import transparent
from difflaw.templates import visible

Trace = dict[str, Any]
INK = "#2b2b2b"
LARGEST = 13.5
"""Pixels of a symbol."""


def plot_text(text: object, limit: int = 60) -> str:
    """``text`` for a plotly label: plotly reads tags and a few entities there, and does not know ``&quot;``."""
    return html.escape(visible(text, limit).replace("\n", " "), quote=False)


def _hover(label: str) -> str:
    return "<br>".join(plot_text(line, 120) for line in label.split("\n"))


def _numbers(values: Iterable[float]) -> list[float | None]:
    """Six digits, more than a screen shows; None leaves a gap."""
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in map(float, values)]


def _scatter(x: Iterable[float], y: Iterable[float], group: str, hover: s.Hover = (), **more: Any) -> Trace:
    """A trace that says only what its ``hover`` says; members of a group hide together."""
    trace: Trace = {"type": "scatter", "mode": "lines", "x": _numbers(x), "y": _numbers(y), "showlegend": False}
    trace |= {"name": plot_text(group), "hoverinfo": "text" if len(hover) else "skip"}
    if len(hover):
        trace["text"] = [_hover(label) for label in hover]
    if group:
        trace["legendgroup"] = plot_text(group)
    return trace | more


def mark_traces(mark: s.Mark, panel: s.Panel) -> list[Trace]:
    """A mark as traces that do not yet say which axes they belong to."""
    match mark:
        case s.LineMark():
            line = {"color": mark.colour, "width": mark.width, "dash": mark.dash}
            line |= {"shape": "hv"} if mark.stairs else {}
            return [_scatter(mark.x, mark.y, mark.group, mark.hover, line=line, opacity=mark.opacity)]
        case s.PointMark():
            return [_points(mark)]
        case s.BandMark():
            x, y = chain(mark.x, reversed(list(mark.x))), chain(mark.high, reversed(list(mark.low)))
            fill = {"fill": "toself", "fillcolor": transparent(mark.colour, mark.opacity), "line": {"width": 0}}
            return [_scatter(x, y, mark.group, **fill)]
        case s.ContourMark():
            return [_contours(mark)]
        case s.RuleMark():
            line = {"color": mark.colour, "width": 1.5, "dash": mark.dash}
            return [_scatter(_extent(panel), [mark.y, mark.y], mark.group, line=line)]
        case s.TextMark():
            font = {"size": 10, "color": INK}
            text = {"mode": "text", "text": [plot_text(mark.text)], "textposition": "bottom right", "textfont": font}
            return [_scatter([mark.x], [mark.y], "", **text)]


def _points(mark: s.PointMark) -> Trace:
    marker = _marker(mark.symbol, mark.colour, mark.hollow, min(1.35 * mark.size, LARGEST), mark.rim) | {
        "opacity": mark.opacity
    }
    more: dict[str, Any] = {"mode": "markers", "marker": marker}
    if len(mark.low) and len(mark.high):
        y, low, high = (np.asarray(v, float) for v in (mark.y, mark.low, mark.high))
        up, down = (np.nan_to_num(np.maximum(v, 0)) for v in (high - y, y - low))
        bars = {"type": "data", "symmetric": False, "thickness": 1.2, "color": mark.colour}
        more["error_y"] = bars | {"array": _numbers(up), "arrayminus": _numbers(down)}
    return _scatter(mark.x, mark.y, mark.group, mark.hover, **more)


def _marker(symbol: str, colour: str, hollow: bool, size: float, rim: str = "") -> dict[str, Any]:
    outlined = hollow or symbol in ("x-thin", "ring")
    name = "circle" if symbol == "ring" else symbol
    line = {"width": 2.0 if symbol == "x-thin" else 1.5 if outlined else 1.0 if rim else 0.0, "color": rim or colour}
    return {"symbol": f"{name}-open" if outlined else name, "size": float(f"{size:.3g}"), "color": colour, "line": line}


def _contours(mark: s.ContourMark) -> Trace:
    """Plotly's contour lines lie at equal steps: it gets the number of levels below each value instead of the value."""
    last = len(mark.levels)
    steps = np.interp(mark.z, [0.0, *mark.levels, 4 * mark.levels[-1]], range(last + 2))
    colours = [*mark.colours, "#ffffff"]
    return {
        "type": "contour",
        "x": _numbers(mark.x),
        "y": _numbers(mark.y),
        "z": [[round(float(v), 2) for v in row] for row in steps],
        "text": [[f"{significant(max(v, 0.0), 2)}{mark.unit}" for v in row] for row in mark.z],
        "hoverinfo": "text",
        "showscale": False,
        "showlegend": False,
        "contours": {"start": 1, "end": last, "size": 1, "coloring": "fill"},
        "colorscale": [[i / last, colour] for i, colour in enumerate(colours)],
        "line": {"color": mark.line, "width": 0.7},
    }


def _extent(panel: s.Panel) -> tuple[float, float]:
    """From the panel's left to its right."""
    if panel.x.limits is not None:
        return panel.x.limits
    x = [float(v) for mark in panel.marks if not isinstance(mark, s.RuleMark | s.TextMark) for v in mark.x]
    return min(x), max(x)


def legend_trace(entry: s.LegendEntry) -> Trace:
    """A trace without a point: it shows the entry and, clicked, hides its group."""
    mode = "+".join(["lines"] * (entry.dash is not None) + ["markers"] * bool(entry.symbol)) or "lines"
    trace = _scatter([math.nan], [math.nan], entry.group, mode=mode, showlegend=True)
    trace |= {"name": plot_text(entry.label), "line": {"color": entry.colour, "width": entry.width}}
    if entry.dash is not None:
        trace["line"]["dash"] = entry.dash
    if entry.symbol:
        trace["marker"] = _marker(entry.symbol, entry.colour, entry.hollow, 9)
    return trace


def bar_trace(bar: s.ColourBar) -> Trace:
    """A trace without a point that carries the scale of colours."""
    low, high = math.log10(bar.low), math.log10(bar.high)
    ticks = [tick for tick in round_ticks(bar.low, bar.high, 8) if bar.low <= tick <= bar.high]
    scale = {"title": {"text": plot_text(bar.title), "side": "right"}, "thickness": 12, "outlinewidth": 0}
    scale |= {"tickvals": [math.log10(t) for t in ticks], "ticktext": [s.WRITE[bar.kind](t, 3) for t in ticks]}
    colours = [[i / (len(bar.colours) - 1), colour] for i, colour in enumerate(bar.colours)]
    marker = {"color": [low], "cmin": low, "cmax": high, "colorscale": colours, "showscale": True, "colorbar": scale}
    return _scatter([math.nan], [math.nan], "", mode="markers", marker=marker)


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers around the range, at most ``most`` of them inside it."""
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    choices: list[tuple[float, ...]] = [(1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)]
    for mantissas in choices:
        ticks = [m * 10.0**e for e in range(first, last + 1) for m in mantissas]
        if sum(low <= tick <= high for tick in ticks) <= most:
            return ticks
    step = math.ceil((last - first) / most)
    return [10.0**e for e in range(first, last + 1, step)]
