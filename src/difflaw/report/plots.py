"""The page's figures as plotly specifications: plain dictionaries of data and layout, every text escaped."""

from __future__ import annotations

import math
from typing import Any, Literal

import pandas as pd

from difflaw.law.results import Laws, PowerLaw
from difflaw.report.colours import in_order, sequence, style_of, transparent
from difflaw.report.markup import plot_text
from difflaw.report.numbers import compact, scientific, significant, with_error
from difflaw.report.series import (
    best_point,
    budgets_of,
    curves_of,
    envelope,
    families_of,
    law_pieces,
    parabola,
    profiles_of,
)
from difflaw.report.sheets import axis, empty, figure, hover, layout, panel_layout, panels, trace

Spec = dict[str, Any]
LOSS = "loss (nats per token)"
FLOPS = "training FLOPs"


def _law_traces(law: PowerLaw, family: str, names: tuple[str, str]) -> list[Spec]:
    colour, shown = style_of(family).colour, plot_text(family)
    traces = []
    for piece, dash in zip(law_pieces(law), ("solid", "dash"), strict=True):
        if piece.low is not None and piece.high is not None:
            x = [*piece.x, *piece.x[::-1]]
            y = [*piece.high, *piece.low[::-1]]
            fill = transparent(colour, 0.07)
            traces.append(trace(x, y, family, fill="toself", fillcolor=fill, line={"width": 0}, hoverinfo="skip"))
        texts = [
            hover(shown, f"{names[0]}: {scientific(x)}", f"{names[1]}: {_value(names[1], y)}")
            for x, y in zip(piece.x, piece.y, strict=True)
        ]
        traces.append(trace(piece.x, piece.y, family, text=texts, line={"color": colour, "width": 2, "dash": dash}))
    return traces


def _value(name: str, value: float) -> str:
    return significant(value, 4) if name.startswith("loss") else compact(value)


def frontier(table: pd.DataFrame, laws: Laws | None, entropy_floor: float | None = None) -> Spec:
    """Loss against compute for all families: minima, laws with bands, and the corpus' entropy where known."""
    curves, data, heights, reach = curves_of(table), [], [], []
    for family in families_of(curves, laws):
        style, fit = style_of(family), laws.families.get(family) if laws is not None else None
        law = fit.loss_law if fit is not None else None
        if law is not None:
            data += _law_traces(law, family, ("FLOPs", "loss"))
            heights += [law(law.x_range[0]), float(law_pieces(law)[1].y[-1])]
            reach += [law.x_range[0], law_pieces(law)[1].x[-1]]
        else:
            x, y = envelope(curves, family)
            heights, reach = heights + list(y), reach + list(x)
            line = {"color": style.colour, "width": 1.5, "dash": "dashdot", "shape": "hv"}
            texts = [hover(plot_text(family), f"best run so far: {significant(v, 4)}") for v in y]
            data.append(trace(x, y, family, text=texts, line=line))
        for profile in profiles_of(laws, family):
            at = best_point(profile)
            if at is None:
                continue
            heights.append(at.loss)
            sizes = f"N* {compact(at.params)}, D* {compact(at.tokens)}"
            text = hover(
                plot_text(family), f"{scientific(profile.flops)} FLOPs", f"loss {significant(at.loss, 4)}", sizes
            )
            data.append(_vertex(profile.flops, at.loss, family, at.sound, text))
    if not heights:
        return empty()
    if entropy_floor is not None and math.isfinite(entropy_floor) and entropy_floor > 0 and reach:
        text = f"entropy of the corpus: {significant(entropy_floor, 4)}"
        line = {"color": "#333333", "width": 1.5, "dash": "dot"}
        x = [min(reach), max(reach)]
        data.append(trace(x, [entropy_floor] * 2, "", name=text, text=[text] * 2, line=line, showlegend=True))
        heights.append(entropy_floor)
    _name_families(data)
    y = axis(LOSS, "loss", (min(heights) * 0.96, max(heights) * 1.04))
    return figure(data, layout(xaxis=axis(FLOPS, "power"), yaxis=y))


def _vertex(x: float, y: float, family: str, sound: bool, text: str, **more: Any) -> Spec:
    style = style_of(family)
    symbol = style.symbol if sound else f"{style.symbol}-open"
    marker = {"symbol": symbol, "size": 10, "color": style.colour, "line": {"width": 1.5, "color": style.colour}}
    if sound:
        marker["line"] = {"width": 1, "color": "#ffffff"}
    return trace([x], [y], family, mode="markers", text=[text], marker=marker, **more)


def _name_families(data: list[Spec]) -> None:
    """One legend entry a family: its first line or marker, never its band."""
    named = set()
    for item in data:
        group = item.get("legendgroup")
        if group and group not in named and item.get("fill") is None:
            named.add(group)
            item["showlegend"] = True


def optimal(laws: Laws | None, what: Literal["params", "tokens"]) -> Spec:
    """N* or D* against compute: minima with ± 1 standard error, laws and bands."""
    data, values = [], []
    name = "N*" if what == "params" else "D*"
    for family in families_of((), laws):
        fit = laws.families[family] if laws is not None else None
        law = None if fit is None else fit.params_law if what == "params" else fit.tokens_law
        if law is not None:
            data += _law_traces(law, family, ("FLOPs", name))
            values += [float(piece.y[i]) for piece in law_pieces(law) for i in (0, -1)]
        for profile in profiles_of(laws, family):
            at = best_point(profile)
            if at is None:
                continue
            value, factor = (at.params if what == "params" else at.tokens), at.factor
            bars = {
                "type": "data",
                "symmetric": False,
                "array": [value * factor - value],
                "arrayminus": [value - value / factor],
                "thickness": 1.2,
            }
            between = f"± 1 s.e.: {compact(value / factor)} to {compact(value * factor)}"
            between = between if at.sound else "the minimum lies at the edge of the sizes: a bound, not a minimum"
            text = hover(plot_text(family), f"{scientific(profile.flops)} FLOPs", f"{name} {compact(value)}", between)
            data.append(_vertex(profile.flops, value, family, at.sound, text, error_y=bars))
            values.append(value)
    if not values:
        return empty()
    _name_families(data)
    title = "parameters N*" if what == "params" else "tokens D*"
    y = axis(title, "count", (min(values) / 1.6, max(values) * 1.6))
    return figure(data, layout(xaxis=axis(FLOPS, "power"), yaxis=y))


def isoflop_profiles(laws: Laws | None) -> Spec:
    """Loss against size at each budget, a panel a family; minima that do not count are hollow, their curves dashed."""
    families = [family for family in families_of((), laws) if profiles_of(laws, family)]
    if not families:
        return empty()
    budgets, data, named = budgets_of(laws), [], set()
    colours = dict(zip(budgets, sequence(len(budgets)), strict=True))
    for place, family in zip(panels(len(families)), families, strict=True):
        for profile in profiles_of(laws, family):
            colour, group = colours[profile.flops], scientific(profile.flops)
            at, sound = {"xaxis": place.x, "yaxis": place.y}, profile.status == "interior"
            texts = [
                hover(plot_text(run), f"{compact(n)} parameters, {compact(d)} tokens", f"loss {with_error(loss, se)}")
                for run, n, d, loss, se in zip(
                    profile.runs, profile.params, profile.tokens, profile.loss, profile.loss_se, strict=True
                )
            ]
            marker = {"size": 7, "color": colour, "symbol": ["circle" if u else "circle-open" for u in profile.used]}
            bars = {"type": "data", "array": list(profile.loss_se), "thickness": 1}
            points = trace(
                profile.params, profile.loss, group, mode="markers", text=texts, marker=marker, error_y=bars, **at
            )
            points["name"], points["showlegend"] = f"{group} FLOPs", group not in named
            named.add(group)
            data.append(points)
            curve = parabola(profile)
            if curve is not None:
                line = {"color": colour, "width": 2, "dash": "solid" if sound else "dash"}
                data.append(trace(*curve, group, line=line, hoverinfo="skip", **at))
            best = best_point(profile)
            if best is not None:
                text = hover(
                    f"minimum ({profile.status})", f"N* {compact(best.params)}", f"loss {significant(best.loss, 4)}"
                )
                symbol = {"symbol": "star" if best.sound else "star-open", "size": 13, "color": colour}
                data.append(trace([best.params], [best.loss], group, mode="markers", text=[text], marker=symbol, **at))
    titles = [plot_text(family, 32) for family in families]
    return figure(data, panel_layout(titles, ("parameters", "count"), (LOSS, "loss"), shared=False))


def loss_curves(table: pd.DataFrame) -> Spec:
    """Every run's loss against its FLOPs, a panel a family, dark for small and light for large models."""
    curves = [curve for curve in curves_of(table) if len(curve.loss)]
    if not curves:
        return empty()
    families = in_order(curve.family for curve in curves)
    sizes = sorted({curve.params for curve in curves if curve.params > 0})
    colours = dict(zip(sizes, sequence(len(sizes)), strict=True))
    data, named = [], set()
    for place, family in zip(panels(len(families)), families, strict=True):
        for run in (curve for curve in curves if curve.family == family):
            group, before = f"{compact(run.params)} parameters", len(run.loss) - 1
            title = hover(plot_text(run.run), f"{group}, {plot_text(run.status)}")
            texts = [
                hover(title, f"{scientific(c)} FLOPs, {compact(d)} tokens", f"loss {significant(v, 4)}")
                for c, d, v in zip(run.flops, run.tokens, run.loss, strict=True)
            ]
            line = {"color": colours.get(run.params, "#333333"), "width": 1.4, "dash": "dot" if run.broken else "solid"}
            symbols, widths = ["circle"] * before, [4] * before
            marker = {
                "symbol": [*symbols, "x" if run.broken else "circle"],
                "size": [*widths, 9 if run.broken else 4],
            }
            curve = trace(run.flops, run.loss, group, mode="lines+markers", text=texts, line=line, marker=marker)
            # Only so many sizes can be told apart in a legend; hovering names the rest.
            shown = group not in named and len(named) < 12
            data.append(curve | {"xaxis": place.x, "yaxis": place.y, "showlegend": shown})
            named.add(group)
    titles = [plot_text(family, 32) for family in families]
    return figure(data, panel_layout(titles, (FLOPS, "power"), (LOSS, "loss"), shared=True))
