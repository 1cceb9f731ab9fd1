"""Does the surface fit, and would it have foretold? Residuals by compute and by tokens per parameter, and the drift."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from difflaw.law.results import Laws
from difflaw.report.canvas import INK, finish, label_of, legend_below, sheet, styled
from difflaw.report.colours import in_order, style_of


@styled
def residuals(table: pd.DataFrame, laws: Laws | None) -> Figure | None:
    """100·(measured/fitted - 1) of every row against FLOPs and against tokens per parameter; None without a surface.

    A slope or a bend in either panel is what the form E + A/N^alpha + B/D^beta cannot follow.
    """
    families = [name for name, family in (laws.families if laws else {}).items() if family.surface is not None]
    if laws is None or not families:
        return None
    figure, axes = sheet(2, columns=2, size=(5.0, 3.8))
    handles = []
    for name in in_order(families):
        rows: Any = table[table["family"] == name]
        surface = laws.families[name].surface
        assert surface is not None
        n, d = rows["params"].to_numpy(float), rows["tokens"].to_numpy(float)
        first = rows["flops_per_token"].to_numpy(float) if _reads_flops(surface) else n
        fitted = surface.E + surface.A * first**-surface.alpha + surface.B * d**-surface.beta
        gap = 100.0 * (rows["loss"].to_numpy(float) / fitted - 1.0)
        style = style_of(name)
        for axis, across in zip(axes, (rows["flops"].to_numpy(float), d / n), strict=True):
            drawn = axis.plot(across, gap, style.marker, color=style.colour, ms=4, alpha=0.7, label=label_of(name))
        handles += drawn
    for axis, across in zip(axes, ("training FLOPs", "tokens per parameter"), strict=True):
        axis.axhline(0.0, color=INK, lw=1.0)
        finish(axis, (across, "power"), None)
        axis.set_ylabel("measured over fitted, %")
    axes[0].set_title("Residuals of the surface", loc="left", fontweight="bold")
    legend_below(figure, handles, [str(h.get_label()) for h in handles])
    return figure


@styled
def drift(laws: Laws | None) -> Figure | None:
    """Size exponent and floor E, fitted only up to a cutoff, against the cutoff; None without a hold-out.

    Flat lines are laws that can be extended; a slope says that the law beyond the data will be another one.
    """
    found = {name: family.hold_out for name, family in (laws.families if laws else {}).items() if family.hold_out}
    found = {name: h for name, h in found.items() if sum(t.form == h.form for t in h.tests) > 1}
    if not found:
        return None
    figure, axes = sheet(2, columns=2, size=(5.0, 3.8))
    handles = []
    for name in in_order(found):
        tests = [t for t in found[name].tests if t.form == found[name].form]
        cutoff, style = [t.cutoff for t in tests], style_of(name)
        exponent = np.array([t.params_exponent for t in tests])
        spans = [t.params_exponent_interval for t in tests]
        low = exponent - [s.low if s else e for s, e in zip(spans, exponent, strict=True)]
        high = np.array([s.high if s else e for s, e in zip(spans, exponent, strict=True)]) - exponent
        bar = axes[0].errorbar(
            cutoff, exponent, [low.clip(0), high.clip(0)], color=style.colour, marker=style.marker, capsize=3, lw=1.4
        )
        axes[1].plot(cutoff, [t.floor for t in tests], color=style.colour, marker=style.marker, lw=1.4)
        handles.append((bar, label_of(name)))
    for axis, what in zip(axes, ("size exponent a, 95 %", "floor E (nats per token)"), strict=True):
        finish(axis, ("fitted to runs up to this many FLOPs", "power"), None)
        axis.set_ylabel(what)
    axes[0].set_title("Drift with the cutoff", loc="left", fontweight="bold")
    legend_below(figure, [h for h, _ in handles], [text for _, text in handles])
    return figure


def _reads_flops(surface: object) -> bool:
    """Whether the surface's first variable is FLOPs per token."""
    return getattr(surface, "flops_factor", 6.0) == 1.0
