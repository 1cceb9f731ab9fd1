"""A figure on the page: the description as plotly's data and layout, plain dictionaries with every text escaped."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from difflaw.report import spec as s
from difflaw.report.plotly_traces import INK, Trace, bar_trace, legend_trace, mark_traces, plot_text, round_ticks

Layout = dict[str, Any]
ROW_PIXELS = 270
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
            data += [trace | {"xaxis": place.x, "yaxis": place.y} for trace in mark_traces(mark, panel)]
    data += [legend_trace(entry) for entry in spec.legend]
    if spec.bar is not None:
        data.append(bar_trace(spec.bar))
    return {"data": data, "layout": _layout(spec, places)}


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
    ticks = list(described.ticks) or round_ticks(low, high, 4 if many else 9)
    return spec | {"tickmode": "array", "tickvals": ticks, "ticktext": [s.WRITE[described.kind](t, 3) for t in ticks]}


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
