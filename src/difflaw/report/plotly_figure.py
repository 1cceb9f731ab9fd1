"""A figure on the page: the description as plotly's data and layout, plain dictionaries with every text escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from difflaw.formatting import significant
from difflaw.report import spec as s
from difflaw.report.colours import transparent
from difflaw.templates import visible

Trace = dict[str, Any]
Layout = dict[str, Any]
ROW_PIXELS = 270
INK = "#2b2b2b"
LARGEST = 13.5
"""Pixels of a symbol."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"


@dataclass(frozen=True)
class Place:
    """Where a panel lies: plotly's names of its axes and its share of the sheet."""

    x: str
    y: str
    across: tuple[float, float]
    up: tuple[float, float]


def to_plotly(spec: s.FigureSpec) -> dict[str, Any]:
    """``{"data": [...], "layout": {...}}``, for `Plotly.newPlot` or `plotly.graph_objects.Figure`."""
    if not spec.panels:
        return _nothing_yet()
    inner = any(spec.axis_titles(i)[1] for i in range(len(spec.panels)) if i % spec.columns)
    places = _places(len(spec.panels), spec.columns, 0.1 if inner else 0.055)
    data: list[Trace] = []
    for panel, place in zip(spec.panels, places, strict=True):
        for mark in panel.marks:
            data += [trace | {"xaxis": place.x, "yaxis": place.y} for trace in _traces(mark, panel)]
    data += [_legend_trace(entry) for entry in spec.legend]
    if spec.bar is not None:
        data.append(_bar_trace(spec.bar))
    return {"data": data, "layout": _layout(spec, places)}


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


def _traces(mark: s.Mark, panel: s.Panel) -> list[Trace]:
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


def _legend_trace(entry: s.LegendEntry) -> Trace:
    """A trace without a point: it shows the entry and, clicked, hides its group."""
    mode = "+".join(["lines"] * (entry.dash is not None) + ["markers"] * bool(entry.symbol)) or "lines"
    trace = _scatter([math.nan], [math.nan], entry.group, mode=mode, showlegend=True)
    trace |= {"name": plot_text(entry.label), "line": {"color": entry.colour, "width": entry.width}}
    if entry.dash is not None:
        trace["line"]["dash"] = entry.dash
    if entry.symbol:
        trace["marker"] = _marker(entry.symbol, entry.colour, entry.hollow, 9)
    return trace


def _bar_trace(bar: s.ColourBar) -> Trace:
    low, high = math.log10(bar.low), math.log10(bar.high)
    ticks = [tick for tick in _round_ticks(bar.low, bar.high, 8) if bar.low <= tick <= bar.high]
    scale = {"title": {"text": plot_text(bar.title), "side": "right"}, "thickness": 12, "outlinewidth": 0}
    scale |= {"tickvals": [math.log10(t) for t in ticks], "ticktext": [s.WRITE[bar.kind](t, 3) for t in ticks]}
    colours = [[i / (len(bar.colours) - 1), colour] for i, colour in enumerate(bar.colours)]
    marker = {"color": [low], "cmin": low, "cmax": high, "colorscale": colours, "showscale": True, "colorbar": scale}
    return _scatter([math.nan], [math.nan], "", mode="markers", marker=marker)


def _layout(spec: s.FigureSpec, places: list[Place]) -> Layout:
    rows = math.ceil(len(places) / spec.columns)
    layout = _sheet(460 if len(places) == 1 else 190 + ROW_PIXELS * rows)
    if len(places) > 1:
        layout["legend"]["y"] = -75 / (layout["height"] - 80)
    if spec.legend_title:
        layout["legend"]["title"] = {"text": plot_text(spec.legend_title)}
    layout["annotations"] = [
        _panel_title(panel.title, place) for panel, place in zip(spec.panels, places, strict=True) if panel.title
    ]
    for index, (panel, place) in enumerate(zip(spec.panels, places, strict=True)):
        titles, many = spec.axis_titles(index), len(places) > 1
        x_axis = _axis(panel, "x", titles[0], many) | {"domain": list(place.across), "anchor": place.y}
        y_axis = _axis(panel, "y", titles[1], many) | {"domain": list(place.up), "anchor": place.x}
        if index and spec.linked:
            x_axis["matches"] = "x"
            y_axis |= {"matches": "y"} if spec.linked == "xy" else {}
        layout[f"xaxis{place.x[1:]}"], layout[f"yaxis{place.y[1:]}"] = x_axis, y_axis
    return layout


def _sheet(height: int) -> Layout:
    """Margins, fonts and legend of a figure; light in both themes, so that family colours stay the paper's."""
    return {
        "height": height,
        "margin": {"l": 64, "r": 16, "t": 24, "b": 56},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "font": {"family": FONT, "size": 13, "color": INK},
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "#ffffff", "font": {"color": INK}, "align": "left"},
        "legend": {"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0, "groupclick": "togglegroup"},
    }


def _panel_title(title: str, place: Place) -> dict[str, Any]:
    where = {"x": place.across[0], "y": place.up[1], "xref": "paper", "yref": "paper"}
    how = {"xanchor": "left", "yanchor": "bottom", "showarrow": False}
    return {"text": f"<b>{plot_text(title, 32)}</b>"} | where | how


def _axis(panel: s.Panel, which: str, title: str, many: bool) -> Layout:
    """An axis with round ticks written out: plotly's own ticks between decades are bare digits ("2", "5")."""
    described = panel.x if which == "x" else panel.y
    spec: Layout = {
        "type": "linear" if described.kind == "plain" else "log",
        "title": {"text": plot_text(title, 80), "standoff": 8},
        "showgrid": panel.grid,
        "gridcolor": "#e6e6e6",
        "linecolor": "#888888",
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": True,
        "nticks": 8 if not many else 5 if which == "x" else 6,
    }
    limits = described.limits
    if described.kind == "plain":
        return spec | ({"range": list(limits)} if limits else {})
    if limits is not None:
        spec["range"] = [math.log10(limits[0]), math.log10(limits[1])]
    if described.kind == "loss":
        return spec | {"exponentformat": "none"}
    low, high = limits or (1.0, 10.0)
    ticks = list(described.ticks) or _round_ticks(low, high, 4 if many else 9)
    return spec | {"tickmode": "array", "tickvals": ticks, "ticktext": [s.WRITE[described.kind](t, 3) for t in ticks]}


def _round_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers around the range, at most ``most`` of them inside it."""
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    choices: list[tuple[float, ...]] = [(1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)]
    for mantissas in choices:
        ticks = [m * 10.0**e for e in range(first, last + 1) for m in mantissas]
        if sum(low <= tick <= high for tick in ticks) <= most:
            return ticks
    step = math.ceil((last - first) / most)
    return [10.0**e for e in range(first, last + 1, step)]


def _places(count: int, across: int, gap: float) -> list[Place]:
    """``count`` places, row by row from the top left, ``gap`` of the width between columns."""
    down = math.ceil(count / across)
    width, height = 1 / across, 1 / down
    gap_x, gap_y = (gap, 0.09 * height + 0.09 / down) if count > 1 else (0.0, 0.0)
    places = []
    for index in range(count):
        row, column = divmod(index, across)
        number = "" if index == 0 else str(index + 1)
        left, top = column * width, 1 - row * height
        side = (left + (gap_x if column else 0.0), left + width)
        places.append(Place(f"x{number}", f"y{number}", side, (max(0.0, top - height + gap_y), top - gap_y * 0.4)))
    return places


def _nothing_yet() -> dict[str, Any]:
    """Bare axes that say why they are bare."""
    hidden = {"visible": False, "range": [0, 1]}
    note = {"text": s.NOTHING_YET, "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
    note["font"] = {"size": 17, "color": "#777777"}
    return {"data": [], "layout": _sheet(260) | {"xaxis": hidden, "yaxis": dict(hidden), "annotations": [note]}}
