"""Does the surface fit, and would it have forecast the larger runs? Residuals, and drift with the cutoff."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from difflaw.formatting import scientific
from difflaw.law.results import FittedFamilies, HoldOut, Surface
from difflaw.report.colours import in_order, style_of
from difflaw.report.keys import INK, family_entries
from difflaw.report.law_lines import budgets_of
from difflaw.report.runs import few
from difflaw.report.spec import (
    Axis,
    FigureSpec,
    LegendEntry,
    LineMark,
    Mark,
    Panel,
    PointMark,
    RuleMark,
    padded,
)
from difflaw.report.surfaces import families_with_surface, surface_points, surface_values

MOST_POINTS = 4_000
"""Residuals drawn, all families together."""


def residuals(table: pd.DataFrame, laws: FittedFamilies | None) -> FigureSpec | None:
    """100·(measured/fitted - 1) of every fitted row against FLOPs and tokens per parameter; None without a surface.

    Lines join the medians of eighths of the points: a slope or a curve in either panel is what the form cannot follow.
    """
    found = _relative_errors(table, laws)
    if not found:
        return None
    gaps = np.concatenate([gap for _, _, gap in found.values()])
    reach = 1.15 * float(np.quantile(np.abs(gaps), 0.98)) or 1.0
    marks: tuple[list[Mark], list[Mark]] = ([], [])
    for name, (flops, ratio, gap) in found.items():
        style, chosen = style_of(name), few(len(gap), MOST_POINTS // len(found))
        for drawn, across in zip(marks, (flops, ratio), strict=True):
            drawn.append(
                PointMark(across[chosen], gap[chosen], style.colour, style.symbol, 4, opacity=0.45, group=name)
            )
            drawn.append(LineMark(*_medians(across, gap), style.colour, width=2, group=name))
    y = Axis("measured loss over fitted, %", "plain", (-reach, reach))
    panels = []
    for i, (title, label) in enumerate(
        (("Residuals by budget", "training FLOPs"), ("and by tokens per parameter", "tokens per parameter"))
    ):
        x = Axis(label, "count" if i else "power", padded(v for each in found.values() for v in each[i]))
        panels.append(Panel(title, x, y, (*marks[i], RuleMark(0.0, INK))))
    legend = (*family_entries(list(found)), LegendEntry("line: running median", INK, width=2))
    outside = int((np.abs(gaps) > reach).sum())
    if outside:
        legend += (LegendEntry(f"{outside} rows lie outside the picture", "#ffffff", width=0.0),)
    return FigureSpec(tuple(panels), "", legend, panel_size=(5.0, 4.0))


def _relative_errors(
    table: pd.DataFrame, laws: FittedFamilies | None
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Family -> (FLOPs, tokens per parameter, per cent off) of the rows its surface was fitted to."""
    found = {}
    for name in families_with_surface(laws):
        surface = laws.families[name].surface if laws is not None else None
        n, d, flops, loss = surface_points(table, name, budgets_of(laws))
        if surface is not None and len(n):
            found[name] = (flops, d / n, 100.0 * (loss / surface_values(surface, n, d) - 1.0))
    return found


def _medians(x: np.ndarray, y: np.ndarray, pieces: int = 8) -> tuple[list[float], list[float]]:
    """Medians of x and y over consecutive pieces in x, for up to eight pieces of four points and more."""
    order = np.argsort(x, kind="stable")
    parts = np.array_split(order, max(1, min(pieces, len(x) // 4)))
    return [float(np.median(x[p])) for p in parts], [float(np.median(y[p])) for p in parts]


@dataclass(frozen=True, eq=False)
class Cutoffs:
    """A form fitted to runs up to each cutoff: arrays of one length; ``own``: the form is the one in use."""

    flops: np.ndarray
    exponent: np.ndarray
    low: np.ndarray
    high: np.ndarray
    floor: np.ndarray
    own: bool
    """If so, the last point is the fit to everything."""


def drift(laws: FittedFamilies | None) -> FigureSpec | None:
    """Size exponent and floor E, fitted only up to a cutoff, against the cutoff; None without a hold-out.

    Flat lines are laws that can be extended; a slope says that the law outside the data will be another one. The last
    point, ringed, is the fit to everything. Exponents of the tied form are 1/2 whatever the data say, so the usual form
    with a free floor is drawn (dashed) where the one in use fixes the exponent or the floor.
    """
    found = {name: _cutoffs(f.hold_out, f.surface) for name, f in (laws.families if laws else {}).items()}
    lines = {name: held for name in in_order(found) if (held := found[name]) is not None and len(held.flops) > 1}
    if not lines:
        return None
    x = Axis("fitted to runs up to this many FLOPs", "power", padded(v for c in lines.values() for v in c.flops))
    panels = []
    for title, label in (
        ("Drift with the cutoff, 95 % bars", "size exponent a in N* ∝ C^a"),
        ("and of the floor", "floor E (nats per token)"),
    ):
        marks = [m for name, held in lines.items() for m in _drift_marks(name, held, floor=bool(panels))]
        panels.append(Panel(title, x, Axis(label, "plain"), tuple(marks)))
    legend = (*family_entries(list(lines)), LegendEntry("fitted to everything", INK, None, "circle", hollow=True))
    if not all(held.own for held in lines.values()):
        legend += (LegendEntry("free form, where the one in use fixes a or E", INK, "dash"),)
    return FigureSpec(tuple(panels), "", legend, panel_size=(5.0, 4.0))


def _drift_marks(name: str, held: Cutoffs, floor: bool) -> list[Mark]:
    style, y = style_of(name), held.floor if floor else held.exponent
    low, high = ((), ()) if floor else (held.low, held.high)
    hover = [f"{name}\nup to {scientific(c)} FLOPs: {v:.3f}" for c, v in zip(held.flops, y, strict=True)]
    marks: list[Mark] = [
        LineMark(held.flops, y, style.colour, "solid" if held.own else "dash", 1.4, group=name),
        PointMark(held.flops, y, style.colour, style.symbol, 6, low=low, high=high, group=name, hover=hover),
    ]
    if held.own:
        marks.append(PointMark(held.flops[-1:], y[-1:], style.colour, "ring", 12, group=name))
    return marks


def _cutoffs(held: HoldOut | None, surface: Surface | None) -> Cutoffs | None:
    if held is None or surface is None:
        return None
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
    return Cutoffs(*columns, own=own)
