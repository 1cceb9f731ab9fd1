"""The figures that go into files, one function each, drawn by matplotlib without its global state."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from difflaw.files import write_atomically
from difflaw.law.results import Laws, PowerLaw
from difflaw.report.bowls import learning_rate_bowls
from difflaw.report.canvas import INK, empty, finish, label_of, legend_below, sheet, styled
from difflaw.report.colours import in_order, sequence, style_of
from difflaw.report.numbers import compact, scientific, significant
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
from difflaw.report.surface_figures import drift, regret, residuals

LOSS = ("loss (nats per token)", "loss")
FLOPS = ("training FLOPs", "power")
DPI = 150
MOST_DRAWN = 300
"""With twice as many runs of a family or sizes of a profile, every second is drawn, and so on."""
MANY_BUDGETS = 12
"""With more, budgets are read off a colour bar."""


@styled
def loss_curves(table: pd.DataFrame) -> Figure:
    """Loss of every run against its FLOPs, a panel a family, coloured by size; broken runs dotted with a cross."""
    curves = [curve for curve in curves_of(table) if len(curve.loss)]
    if not curves:
        return empty("Loss curves")
    families = in_order(curve.family for curve in curves)
    figure, axes = sheet(len(families))
    sizes = sorted({curve.params for curve in curves if curve.params > 0})
    low, high = (sizes[0], sizes[-1]) if sizes else (1.0, 1.0)
    norm = LogNorm(low * (0.99 if low == high else 1.0), high * (1.01 if low == high else 1.0))
    colours = LinearSegmentedColormap.from_list("sizes", sequence(8))
    for axis, family in zip(axes, families, strict=True):
        own = [curve for curve in curves if curve.family == family]
        for run in own[:: max(1, len(own) // MOST_DRAWN)]:
            colour = colours(norm(run.params)) if run.params > 0 else INK
            axis.plot(run.flops, run.loss, color=colour, lw=1.2, ls=":" if run.broken else "-", marker=".", ms=3)
            if run.broken:
                axis.plot(run.flops[-1], run.loss[-1], "x", color=colour, ms=8, mew=2)
        axis.set_title(label_of(family), loc="left", fontweight="bold")
    _share_limits(axes)
    _finish_panels(axes, FLOPS, LOSS)
    if sizes:
        bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, aspect=40, pad=0.01, label="parameters")
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.set_ticks(sizes if len(sizes) <= 9 else [low * (high / low) ** (i / 5) for i in range(6)])
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    if any(curve.broken for curve in curves):
        cross = Line2D([], [], color=INK, ls=":", marker="x", ms=8, mew=2)
        legend_below(figure, [cross], ["diverged or failed"])
    return figure


@styled
def isoflop_profiles(laws: Laws | None) -> Figure:
    """Loss against size at each budget, a panel a family, the parabola and its minimum.

    A minimum at the edge of the sizes, or a curve that is not convex, is drawn hollow and dashed: it is not evidence.
    """
    families = [family for family in families_of((), laws) if profiles_of(laws, family)]
    if not families:
        return empty("IsoFLOP profiles")
    figure, axes = sheet(len(families), size=(7.2, 5.0) if len(families) == 1 else (4.2, 3.5))
    budgets = budgets_of(laws)
    colours = dict(zip(budgets, sequence(len(budgets)), strict=True))
    crowded = len(budgets) > MANY_BUDGETS
    if crowded:  # a legend of thirty budgets would push the picture off the sheet
        scale, norm = LinearSegmentedColormap.from_list("budgets", sequence(8)), LogNorm(budgets[0], budgets[-1])
        colours = {budget: to_hex(scale(norm(budget))) for budget in budgets}
        bar = figure.colorbar(ScalarMappable(norm, scale), ax=axes, aspect=40, pad=0.01, label="training FLOPs")
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: scientific(value)))
    for axis, family in zip(axes, families, strict=True):
        for profile in profiles_of(laws, family):
            colour, sound = colours[profile.flops], profile.status == "interior"
            points = list(zip(profile.params, profile.loss, profile.loss_se, profile.used, strict=True))
            for params, loss, error, used in points[:: max(1, len(points) // MOST_DRAWN)]:
                bar = error if math.isfinite(error) else 0.0
                axis.errorbar(params, loss, bar, fmt="o", ms=4.5, color=colour, mfc=colour if used else "white", lw=1)
            curve = parabola(profile)
            if curve is not None:
                axis.plot(*curve, color=colour, lw=1.5, ls="-" if sound else "--")
            at = best_point(profile)
            if at is not None:
                face, rim = (colour, "white") if at.sound else ("white", colour)
                axis.plot(at.params, at.loss, "*", ms=13, color=colour, mfc=face, mec=rim)
        axis.set_title(label_of(family), loc="left", fontweight="bold", color=_readable(style_of(family).colour))
    x = [limit for axis in axes for limit in (axis.dataLim.x0, axis.dataLim.x1)]
    for axis in axes:
        axis.set_xlim(min(x) / 1.15, max(x) * 1.15)
    _finish_panels(axes, ("parameters", "count"), LOSS)
    listed = [] if crowded else budgets
    handles = [Line2D([], [], color=colours[budget], marker="o", ms=4.5) for budget in listed]
    labels = [f"{scientific(budget)} FLOPs" for budget in listed]
    handles.append(Line2D([], [], color=INK, ls="-", marker="*", ms=12, mec="white"))
    labels.append("minimum inside the sizes")
    if any(p.status != "interior" for family in families for p in profiles_of(laws, family)):
        handles.append(Line2D([], [], color=INK, ls="--", marker="*", ms=12, mfc="white"))
        labels.append("at the edge or not convex: not used")
    if any(not all(p.used) for family in families for p in profiles_of(laws, family)):
        handles.append(Line2D([], [], color=INK, ls="", marker="o", ms=4.5, mfc="white"))
        labels.append("point left out of the fit")
    legend_below(figure, handles, labels)
    return figure


def _draw_law(axis: Axes, law: PowerLaw, colour: str, faint: bool) -> None:
    for piece, style in zip(law_pieces(law), ("-", "--"), strict=True):
        axis.plot(piece.x, piece.y, color=colour, lw=1.8, ls=style)
        if piece.low is not None and piece.high is not None:
            axis.fill_between(piece.x, piece.low, piece.high, color=colour, alpha=0.05 if faint else 0.13, lw=0)
            for edge in (piece.low, piece.high):
                axis.plot(piece.x, edge, color=colour, lw=0.6, alpha=0.45)


def _family_handle(family: str) -> Line2D:
    style = style_of(family)
    return Line2D([], [], color=style.colour, marker=style.marker, ms=6.5)


def _legend_beside(
    axis: Axes, laws: Laws | None, families: list[str], extra: list[tuple[Line2D, str]], fitted: bool
) -> None:
    """Families, then what line and marker styles mean; beside the axes, where it hides nothing."""
    entries = [(_family_handle(family), label_of(family)) for family in families] + extra
    points = [best_point(profile) for family in families for profile in profiles_of(laws, family)]
    if any(point is not None and not point.sound for point in points):
        entries.append((Line2D([], [], color=INK, ls="", marker="o", mfc="white", ms=6.5), "minimum at the edge"))
    if fitted:
        entries.append((Line2D([], [], color=INK, ls="--"), "law beyond its points"))
        entries.append((Line2D([], [], color=INK, lw=0.6, alpha=0.6), "interval of the law"))
    axis.legend(*zip(*entries, strict=True), loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def _widen(axis: Axes) -> None:
    """Room around budgets that lie close together, or the shifts between families would look like budgets."""
    low, high = axis.dataLim.x0, axis.dataLim.x1
    if low > 0 and high < 3 * low:
        axis.set_xlim(low / 2, high * 2)


@styled
def frontier(table: pd.DataFrame, laws: Laws | None, entropy_floor: float | None = None) -> Figure:
    """Lowest loss against compute, all families in one picture: fitted minima, laws L*(C) and their bands.

    A family without a law shows the envelope of its runs instead. ``entropy_floor`` (nats per token) is drawn where
    the corpus' entropy is known: no model goes below it.
    """
    curves = curves_of(table)
    families = families_of(curves, laws)
    if not families:
        return empty("Loss against compute")
    figure, (axis,) = sheet(1, size=(9.0, 5.6))
    limits: list[float] = []
    bare = False
    for family in families:
        style, fit = style_of(family), laws.families.get(family) if laws is not None else None
        law = fit.loss_law if fit is not None else None
        if law is not None:
            _draw_law(axis, law, style.colour, faint=len(families) > 2)
            limits += [law(law.x_range[0]), law_pieces(law)[1].y[-1]]
        else:
            x, y = envelope(curves, family)
            axis.step(x, y, where="post", color=style.colour, lw=1.4, ls="-.")
            bare = bare or len(y) > 0
            limits += [] if len(y) == 0 else [float(y.min()), float(y.max())]
        for profile in profiles_of(laws, family):
            at = best_point(profile)
            if at is None:
                continue
            face = style.colour if at.sound else "white"
            axis.plot(profile.flops, at.loss, style.marker, ms=7, color=style.colour, mfc=face, zorder=3)
            limits.append(at.loss)
    extra: list[tuple[Line2D, str]] = [(Line2D([], [], color=INK, lw=1.4, ls="-."), "best run, no law")] if bare else []
    if entropy_floor is not None and math.isfinite(entropy_floor) and entropy_floor > 0:
        axis.axhline(entropy_floor, color=INK, lw=1.2, ls=(0, (1, 1.5)))
        dots = Line2D([], [], color=INK, lw=1.2, ls=(0, (1, 1.5)))
        extra.append((dots, f"entropy of the corpus: {significant(entropy_floor)}"))
        limits.append(entropy_floor)
    if not limits:
        return empty("Loss against compute")
    # The bands of a law with one degree of freedom would fill the sheet: the data choose the scale, not they.
    axis.set_ylim(min(limits) * 0.96, max(limits) * 1.04)
    _widen(axis)
    axis.set_title("Loss against compute", loc="left", fontweight="bold")
    finish(axis, FLOPS, LOSS)
    fitted = laws is not None and any(laws.families[f].loss_law for f in families if f in laws.families)
    _legend_beside(axis, laws, families, extra, fitted)
    return figure


def _optimal(laws: Laws | None, what: Literal["params", "tokens"], title: str, y: str) -> Figure:
    families = [f for f in families_of((), laws) if any(map(best_point, profiles_of(laws, f)))]
    if laws is None or not families:
        return empty(title)
    figure, (axis,) = sheet(1, size=(9.0, 5.2))
    seen: list[float] = []
    fitted = False
    for index, family in enumerate(families):
        style, fit = style_of(family), laws.families[family]
        law = fit.params_law if what == "params" else fit.tokens_law
        if law is not None:
            fitted = True
            _draw_law(axis, law, style.colour, faint=len(families) > 2)
            seen += [float(piece.y[i]) for piece in law_pieces(law) for i in (0, -1)]
        # A small shift sideways keeps the bars of families at one budget apart.
        shift = 1.0 + 0.035 * (index - (len(families) - 1) / 2)
        for profile in profiles_of(laws, family):
            at = best_point(profile)
            if at is None:
                continue
            value = at.params if what == "params" else at.tokens
            # At fixed compute ln D* moves by at most as much as ln N* (FLOPs per token grow no faster than N).
            bars = [[value - value / at.factor], [value * at.factor - value]]
            face = style.colour if at.sound else "white"
            axis.errorbar(
                profile.flops * shift, value, bars, fmt=style.marker, ms=7, color=style.colour, mfc=face, capsize=2.5
            )
            seen.append(value)
    if not seen:
        return empty(title)
    _widen(axis)
    axis.set_ylim(min(seen) / 1.6, max(seen) * 1.6)
    axis.set_title(title, loc="left", fontweight="bold")
    finish(axis, FLOPS, (y, "count"))
    _legend_beside(axis, laws, families, [], fitted)
    return figure


@styled
def optimal_size(laws: Laws | None) -> Figure:
    """N* against compute: minima of the isoFLOP profiles (± 1 standard error), laws and bands."""
    return _optimal(laws, "params", "Compute-optimal size", "parameters N*")


@styled
def optimal_tokens(laws: Laws | None) -> Figure:
    """D* against compute: tokens at the minima of the isoFLOP profiles (± 1 standard error), laws and bands."""
    return _optimal(laws, "tokens", "Compute-optimal tokens", "tokens D*")


def _share_limits(axes: list[Axes]) -> None:
    x = [limit for axis in axes for limit in (axis.dataLim.x0, axis.dataLim.x1)]
    y = [limit for axis in axes for limit in (axis.dataLim.y0, axis.dataLim.y1)]
    for axis in axes:
        axis.set_xlim(min(x) / 1.15, max(x) * 1.15)
        axis.set_ylim(min(y) * 0.98, max(y) * 1.02)


def _finish_panels(axes: list[Axes], x: tuple[str, str], y: tuple[str, str]) -> None:
    columns = min(3, len(axes))
    for index, axis in enumerate(axes):
        finish(axis, x, y)
        if index % columns:
            axis.set_ylabel("")
        if index + columns < len(axes):
            axis.set_xlabel("")


def _readable(colour: str) -> str:
    """A family colour darkened until it can be read as text on white."""
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    brightness = sum(w * c for w, c in zip((0.299, 0.587, 0.114), channels, strict=True))
    factor = min(1.0, 110 / max(brightness, 1))
    return "#" + "".join(f"{round(c * factor):02x}" for c in channels)


def save_figures(
    directory: str | Path, table: pd.DataFrame, laws: Laws | None, entropy_floor: float | None = None
) -> list[Path]:
    """Draw every figure into ``directory`` as PNG at 150 dpi and return the paths.

    Left out: learning rates where no size was run at two, residuals and regret without a surface, the drift
    without a hold-out.
    """
    drawn = {
        "frontier": frontier(table, laws, entropy_floor),
        "isoflop-profiles": isoflop_profiles(laws),
        "optimal-size": optimal_size(laws),
        "optimal-tokens": optimal_tokens(laws),
        "residuals": residuals(table, laws),
        "drift": drift(laws),
        "regret": regret(table, laws),
        "loss-curves": loss_curves(table),
        "learning-rate-bowls": learning_rate_bowls(table),
    }
    paths = []
    for name, figure in drawn.items():
        if figure is None:
            continue
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI)
        paths.append(write_atomically(Path(directory) / f"{name}.png", buffer.getvalue()))
    return paths
