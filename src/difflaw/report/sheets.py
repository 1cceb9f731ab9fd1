"""Layouts, axes and panels that every plotly figure of the page shares."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from difflaw.report.markup import plot_text
from difflaw.report.numbers import compact, scientific
from difflaw.report.series import NOTHING_YET

Spec = dict[str, Any]
COLUMNS = 3
ROW_PIXELS = 270
INK = "#2b2b2b"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"


@dataclass(frozen=True)
class Panel:
    """Where one small plot lies: plotly's names of its axes and its share of the sheet."""

    x: str
    y: str
    across: tuple[float, float]
    up: tuple[float, float]


def trace(x: Iterable, y: Iterable, group: str, **more: Any) -> Spec:
    """A line or marker trace that says only what its ``text`` says; members of a group hide together."""
    shown = plot_text(group)
    base: Spec = {
        "type": "scatter",
        "mode": "lines",
        "x": [float(v) for v in x],
        "y": [float(v) for v in y],
        "name": shown,
        "showlegend": False,
        "hoverinfo": "text" if "text" in more else "skip",
    }
    if group:
        base["legendgroup"] = shown
    return base | more


def hover(*lines: str) -> str:
    """Lines of a label; each must be escaped already (``plot_text``) or made of numbers."""
    return "<br>".join(lines)


def axis(title: str, kind: str, limits: tuple[float, float] | None = None) -> Spec:
    """A logarithmic axis; ``kind`` 'count' prints 198k, 'power' 2e12, 'loss' plain numbers."""
    spec: Spec = {
        "type": "log",
        "title": {"text": title, "standoff": 8},
        "gridcolor": "#e6e6e6",
        "linecolor": "#888888",
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": True,
        "exponentformat": {"count": "B", "power": "e", "loss": "none"}[kind],
    }
    if kind == "loss":
        spec["nticks"] = 8
    if limits is not None:
        spec["range"] = [math.log10(limits[0]), math.log10(limits[1])]
    return spec


def figure(data: list[Spec], layout: Spec) -> Spec:
    """Data and layout with ticks 1-2-5 written out as 200k or 2e12.

    plotly's own ticks between decades are bare digits ("2", "5"), which nobody reads as 2e12.
    """
    many = "xaxis2" in layout
    for key, spec in layout.items():
        if not key.startswith(("xaxis", "yaxis")) or spec.get("exponentformat") not in ("B", "e"):
            continue
        values = [v for item in data for v in item[key[0]] if math.isfinite(v) and v > 0]
        if not values:
            continue
        write = compact if spec["exponentformat"] == "B" else scientific
        ticks = _round_ticks(min(values), max(values), 4 if many else 9)
        spec |= {"tickmode": "array", "tickvals": ticks, "ticktext": [write(tick) for tick in ticks]}
    return {"data": data, "layout": layout}


def _round_ticks(low: float, high: float, wanted: int) -> list[float]:
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    choices: list[tuple[float, ...]] = [(1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)]
    for mantissas in choices:
        ticks = [m * 10.0**e for e in range(first, last + 1) for m in mantissas]
        if sum(low <= tick <= high for tick in ticks) <= wanted:
            return ticks
    step = math.ceil((last - first) / wanted)
    return [10.0**e for e in range(first, last + 1, step)]


def layout(height: int = 460, **more: Any) -> Spec:
    """Margins, fonts and legend of a figure; light in both themes, so that family colours stay the paper's."""
    base: Spec = {
        "height": height,
        "margin": {"l": 64, "r": 16, "t": 24, "b": 56},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "font": {"family": FONT, "size": 13, "color": INK},
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "#ffffff", "font": {"color": INK}, "align": "left"},
        "legend": {"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0, "groupclick": "togglegroup"},
    }
    return base | more


def panels(count: int) -> list[Panel]:
    """``count`` places, row by row from the top left, at most three across."""
    across = min(COLUMNS, count)
    down = math.ceil(count / across)
    width, height = 1 / across, 1 / down
    places = []
    for index in range(count):
        row, column = divmod(index, across)
        number = "" if index == 0 else str(index + 1)
        left, top = column * width, 1 - row * height
        gap_x, gap_y = (0.055, 0.09 * height + 0.09 / down) if count > 1 else (0.0, 0.0)
        places.append(
            Panel(
                f"x{number}",
                f"y{number}",
                (left + (gap_x if column else 0.0), left + width),
                (max(0.0, top - height + gap_y), top - gap_y * 0.4 if count > 1 else top),
            )
        )
    return places


def panel_layout(titles: list[str], x: tuple[str, str], y: tuple[str, str], shared: bool) -> Spec:
    """Axes and titles of one panel a title; ``shared`` ties all axes together, else only x. Titles come escaped."""
    places = panels(len(titles))
    columns = min(COLUMNS, len(titles))
    rows = math.ceil(len(titles) / columns)
    height = 190 + ROW_PIXELS * rows
    spec = layout(height)
    spec["legend"]["y"] = -75 / (height - 80)
    spec["annotations"] = []
    for index, (place, title) in enumerate(zip(places, titles, strict=True)):
        last = index + columns >= len(titles)
        x_axis = axis(x[0] if last else "", x[1]) | {"domain": list(place.across), "anchor": place.y, "nticks": 5}
        y_axis = axis("" if index % columns else y[0], y[1]) | {
            "domain": list(place.up),
            "anchor": place.x,
            "nticks": 6,
        }
        if index:
            x_axis["matches"] = "x"
            if shared:
                y_axis["matches"] = "y"
        spec[f"xaxis{place.x[1:]}"], spec[f"yaxis{place.y[1:]}"] = x_axis, y_axis
        spec["annotations"].append(
            {
                "text": f"<b>{title}</b>",
                "x": place.across[0],
                "y": place.up[1],
                "xref": "paper",
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
            }
        )
    return spec


def empty(text: str = NOTHING_YET) -> Spec:
    """Bare axes that say why they are bare."""
    hidden = {"visible": False, "range": [0, 1]}
    note = {"text": text, "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
    note["font"] = {"size": 17, "color": "#777777"}
    return {"data": [], "layout": layout(260, xaxis=hidden, yaxis=dict(hidden), annotations=[note])}
