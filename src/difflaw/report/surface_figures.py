"""Does the surface fit, would it have foretold, and what does a wrong size cost? Residuals, drift and regret map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from difflaw.law.results import HoldOut, Laws, Surface
from difflaw.report.canvas import GRID, INK, finish, label_of, legend_below, sheet, styled
from difflaw.report.colours import in_order, style_of
from difflaw.report.numbers import scientific
from difflaw.report.series import best_line, budgets_of, surface_points, surface_regret

LEVELS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Per cent of the loss that the regret map draws lines at."""
BANDS = ("#fbfdf3", "#eaf6d5", "#d3ecc9", "#b4dcc6", "#91c6c7", "#70a9c6")
MOST_POINTS = 4_000
STAR = "#b30326"


def _with_surface(laws: Laws | None) -> list[str]:
    """Families that have a surface, in the order of the colours."""
    return in_order(name for name, f in (laws.families if laws else {}).items() if f.surface is not None)


def _few(count: int, most: int = MOST_POINTS) -> np.ndarray:
    """Indices of at most ``most`` of ``count`` points, evenly spaced."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(int)


@styled
def residuals(table: pd.DataFrame, laws: Laws | None) -> Figure | None:
    """100·(measured/fitted - 1) of every fitted row against FLOPs and tokens per parameter; None without a surface.

    Lines join the medians of eighths of the points: a slope or a bend in either panel is what the form cannot follow.
    """
    families = _with_surface(laws)
    if laws is None or not families:
        return None
    figure, axes = sheet(2, columns=2, size=(5.0, 4.0))
    handles, seen = [], []
    for name in families:
        surface = laws.families[name].surface
        assert surface is not None
        n, d, flops, loss = surface_points(table, name, budgets_of(laws))
        if not len(n):
            continue
        gap = 100.0 * (loss / surface_values(surface, n, d) - 1.0)
        seen.append(gap)
        style, few = style_of(name), _few(len(n))
        for axis, across in zip(axes, (flops, d / n), strict=True):
            axis.plot(across[few], gap[few], style.marker, color=style.colour, ms=4, alpha=0.45, mec="none")
            axis.plot(*_medians(across, gap), color=style.colour, lw=2)
        handles.append(Line2D([], [], color=style.colour, marker=style.marker, ms=5, lw=2, label=label_of(name)))
    if not seen:
        return None
    reach = 1.15 * float(np.quantile(np.abs(np.concatenate(seen)), 0.98)) or 1.0
    outside = int(sum((np.abs(gap) > reach).sum() for gap in seen))
    for axis, across in zip(axes, ("training FLOPs", "tokens per parameter"), strict=True):
        axis.axhline(0.0, color=INK, lw=1.0)
        axis.set_ylim(-reach, reach)
        finish(axis, (across, "power" if across == "training FLOPs" else "count"), None)
    axes[0].set_ylabel("measured loss over fitted, %")
    axes[0].set_title("Residuals by budget", loc="left", fontweight="bold")
    axes[1].set_title("and by tokens per parameter", loc="left", fontweight="bold")
    handles.append(Line2D([], [], color=INK, lw=2, label="line: running median"))
    if outside:
        handles.append(Line2D([], [], ls="", label=f"{outside} rows lie outside the picture"))
    legend_below(figure, handles, [str(h.get_label()) for h in handles])
    return figure


def surface_values(surface: Surface, params: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Losses of a surface at arrays of sizes and tokens."""
    call: Any = surface
    return call(params, tokens)


def _medians(x: np.ndarray, y: np.ndarray, pieces: int = 8) -> tuple[list[float], list[float]]:
    """Medians of x and y over consecutive pieces in x, for up to eight pieces of four points and more."""
    order = np.argsort(x, kind="stable")
    count = max(1, min(pieces, len(x) // 4))
    parts = np.array_split(order, count)
    return [float(np.median(x[p])) for p in parts], [float(np.median(y[p])) for p in parts]


@styled
def drift(laws: Laws | None) -> Figure | None:
    """Size exponent and floor E, fitted only up to a cutoff, against the cutoff; None without a hold-out.

    Flat lines are laws that can be extended; a slope says that the law beyond the data will be another one. The last
    point, ringed, is the fit to everything. Exponents of the tied form are 1/2 whatever the data say, so the usual form
    with a free floor is drawn (dashed) where the one in use fixes the exponent or the floor.
    """
    found = {name: f for name, f in (laws.families if laws else {}).items() if f.hold_out and f.surface}
    lines = {name: _cutoffs(f.hold_out, f.surface) for name, f in found.items()}
    lines = {name: tests for name, tests in lines.items() if len(tests[0]) > 1}
    if not lines:
        return None
    figure, axes = sheet(2, columns=2, size=(5.0, 4.0))
    handles, dashed = [], False
    for name in in_order(lines):
        cutoff, exponent, low, high, floor, own = lines[name]
        style, ls = style_of(name), "-" if own else "--"
        dashed = dashed or not own
        bars = [np.maximum(exponent - low, 0), np.maximum(high - exponent, 0)]
        axes[0].errorbar(
            cutoff, exponent, bars, color=style.colour, marker=style.marker, capsize=3, lw=1.4, ls=ls, elinewidth=0.9
        )
        axes[1].plot(cutoff, floor, color=style.colour, marker=style.marker, lw=1.4, ls=ls)
        if own:
            for axis, y in zip(axes, (exponent, floor), strict=True):
                axis.plot(cutoff[-1], y[-1], "o", ms=12, mfc="none", mec=style.colour)
        handles.append(Line2D([], [], color=style.colour, marker=style.marker, ls=ls, label=label_of(name)))
    for axis, what in zip(axes, ("size exponent a in N* ∝ C^a", "floor E (nats per token)"), strict=True):
        finish(axis, ("fitted to runs up to this many FLOPs", "power"), None)
        axis.set_ylabel(what)
    axes[0].set_title("Drift with the cutoff, 95 % bars", loc="left", fontweight="bold")
    axes[1].set_title("and of the floor", loc="left", fontweight="bold")
    handles.append(Line2D([], [], color=INK, ls="", marker="o", ms=10, mfc="none", label="fitted to everything"))
    if dashed:
        handles.append(Line2D([], [], color=INK, ls="--", label="free form, where the one in use fixes a or E"))
    legend_below(figure, handles, [str(h.get_label()) for h in handles])
    return figure


def _cutoffs(held: HoldOut | None, surface: Surface | None) -> tuple[Any, ...]:
    """(cutoffs, exponents, low, high, floors, whether of the form in use); the last point is the whole fit if it is."""
    assert held is not None
    assert surface is not None
    own = surface.form not in ("tied", "zero", "fixed", "kaplan")
    form = surface.form if own else "free"
    tests = [t for t in held.tests if t.form == form] or [t for t in held.tests if t.form == held.form]
    spans = [t.params_exponent_interval for t in tests]
    rows = [
        (t.cutoff, t.params_exponent, s.low if s else math.nan, s.high if s else math.nan, t.floor)
        for t, s in zip(tests, spans, strict=True)
    ]
    if own:
        s = surface.intervals.get("params_exponent")
        ends = (s.low, s.high) if s else (math.nan, math.nan)
        rows.append((surface.flops_range[1], surface.params_exponent, *ends, surface.E))
    columns = np.array(rows, float).reshape(-1, 5).T
    return (*columns, own)


@styled
def regret(table: pd.DataFrame, laws: Laws | None) -> Figure | None:
    """A panel a family: what a size and a number of tokens give up against the best use of the same FLOPs.

    Contours in per cent of the loss, the runs as dots, budgets dashed, the best sizes as a line with a star at the
    largest budget and at ten times it. None without a surface whose range is known.
    """
    families = [f for f in _with_surface(laws) if _drawable(laws, f)]
    if laws is None or not families:
        return None
    alone = len(families) == 1
    figure, axes = sheet(len(families), size=(7.6, 5.6) if alone else (4.4, 4.0))
    for axis, name in zip(axes, families, strict=True):
        family = laws.families[name]
        surface = family.surface
        assert surface is not None
        stars = [(best.params, best.tokens) for best in family.forecasts]
        x = _span([*surface.params_range, *(s[0] for s in stars)])
        y = _span([*surface.tokens_range, *(s[1] for s in stars)])
        lost = 100 * np.expm1(surface_regret(surface, x[None, :], y[:, None]))
        axis.contourf(x, y, np.maximum(lost, 0), levels=[0, *LEVELS], colors=BANDS)
        lines = axis.contour(x, y, lost, levels=LEVELS, colors=INK, linewidths=0.6)
        n, d, _, _ = surface_points(table, name, budgets_of(laws))
        few = _few(len(n), 600)
        axis.plot(n[few], d[few], ".", color="white", ms=5, mec=INK, mew=0.4, alpha=0.8, zorder=3)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlim(x[0], x[-1])
        axis.set_ylim(y[0], y[-1])
        _budget_lines(axis, surface, x, y)
        if alone:
            axis.clabel(lines, fmt=lambda v: f"{v:g} %", fontsize=8, inline_spacing=3)
        if stars:
            axis.plot(*zip(*stars, strict=True), "*", ms=14, color=STAR, mec="white", zorder=4)
        axis.set_title(label_of(name), loc="left", fontweight="bold")
    for index, axis in enumerate(axes):
        finish(axis, ("parameters", "count"), ("tokens", "count"))
        axis.grid(False)
        if index % 3:
            axis.set_ylabel("")
        if index + 3 < len(axes):
            axis.set_xlabel("")
    shown = ", ".join(f"{level:g}" for level in LEVELS)
    handles = [
        Line2D([], [], color=INK, lw=0.8, label=f"loss given up: {shown} %"),
        Line2D([], [], color="#ffffff", marker=".", mec=INK, ls="", label="runs"),
        Line2D([], [], color=INK, lw=1.0, ls=(0, (4, 3)), label="equal FLOPs"),
        Line2D([], [], color=STAR, lw=1.6, marker="*", ms=11, mec="white", label="best, to ten times the largest"),
    ]
    figure.suptitle(
        "Loss given up against the best use of the same FLOPs", x=0.01, ha="left", fontsize=11.5, fontweight="bold"
    )
    legend_below(figure, handles, [str(h.get_label()) for h in handles])
    return figure


def _drawable(laws: Laws | None, name: str) -> bool:
    surface = laws.families[name].surface if laws else None
    return surface is not None and bool(surface.theta) and all(map(math.isfinite, surface.params_range))


def _span(values: Sequence[float], points: int = 120) -> np.ndarray:
    """A logarithmic grid a little wider than the values."""
    return np.geomspace(min(values) / 1.3, max(values) * 1.3, points)


def _budget_lines(axis: Axes, surface: Surface, x: np.ndarray, y: np.ndarray) -> None:
    """Lines of equal FLOPs, a decade apart, each labelled where it leaves the picture, and the line of best sizes."""
    k = surface.flops_factor
    low, high = math.log10(k * x[0] * y[0]), math.log10(k * x[-1] * y[-1])
    step = max(1, round((high - low) / 6))
    for power in range(math.ceil(low + 0.4), math.floor(high - 0.4) + 1, step):
        tokens = 10.0**power / k / x
        axis.plot(x, tokens, color=INK, lw=0.7, ls=(0, (4, 3)), alpha=0.7)
        inside = np.flatnonzero((tokens < y[-1] / 1.05) & (tokens > y[0] * 1.05))
        if len(inside):
            at = inside[0]
            axis.text(
                float(x[at]) * 1.06,
                float(tokens[at]) / 1.06,
                scientific(10.0**power),
                fontsize=7.5,
                color=INK,
                ha="left",
                va="top",
                bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": GRID, "pad": 0.8},
            )
    axis.plot(*best_line(surface, x, y), color=STAR, lw=1.6, zorder=3)
