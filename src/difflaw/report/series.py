"""What is drawn, before anybody draws it: rows, envelopes, law lines with bands, bowls of learning rates.

matplotlib's and plotly's figures both start here, so a picture in a file and the one on the page cannot disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from difflaw.law.results import Laws, PowerLaw, Profile, Surface
from difflaw.law.surface.forms import coefficients
from difflaw.law.surface.predict import form_of
from difflaw.law.table.trim import surface_rows
from difflaw.report.colours import in_order
from difflaw.report.numbers import as_float, compact

_SHAPE = ("width", "depth", "batch_tokens")
BROKEN = ("diverged", "failed")
NOTHING_YET = "nothing finished yet"
FORWARD = 4.0
"""How far past its points a law is drawn (dashed), as a factor: far enough to see the band open, not to believe it."""


@dataclass(frozen=True)
class Line:
    """A law as points to draw; ``low`` and ``high`` bound its mean where the fit has a covariance."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    level: float


@dataclass(frozen=True)
class Curve:
    """One run: its evaluations in order of FLOPs (usable ones only), and the shape it had."""

    family: str
    run: str
    status: str
    params: float
    width: float
    depth: float
    batch_tokens: float
    rate: float
    flops: np.ndarray
    tokens: np.ndarray
    loss: np.ndarray

    @property
    def broken(self) -> bool:
        """Whether the run diverged or failed."""
        return self.status in BROKEN


@dataclass(frozen=True)
class Best:
    """The lowest point of a profile; ``factor`` is exp(standard error of ln N*), ``sound`` whether it counts."""

    params: float
    tokens: float
    loss: float
    factor: float
    sound: bool


@dataclass(frozen=True)
class Bowl:
    """Loss against learning rate for one size and batch, all at the same number of tokens."""

    family: str
    label: str
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """Mean over seeds at each rate."""
    points: tuple[tuple[float, float], ...]
    diverged: tuple[float, ...]
    """Rates whose run of this shape and batch diverged or failed."""


def _numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    """A column as floats, NaN where it has no number or where the table has no such column."""
    if name not in table.columns:
        return np.full(len(table), np.nan)
    return np.array([as_float(value) for value in table[name].tolist()], dtype=float)


def _words(table: pd.DataFrame, name: str, default: str) -> list[str]:
    if name not in table.columns:
        return [default] * len(table)
    return [default if value is None or value != value else str(value) for value in table[name].tolist()]


def curves_of(table: pd.DataFrame) -> list[Curve]:
    """The table's runs by size, each with its rows of positive finite loss and FLOPs, perhaps none.

    Missing columns count as empty, so any table can be drawn.
    """
    columns = {name: _numbers(table, name) for name in ("flops", "tokens", "loss", "params", *_SHAPE, "lr")}
    families, runs = _words(table, "family", "unknown"), _words(table, "run", "unknown")
    statuses = _words(table, "status", "done")
    members: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(families, runs, strict=True)):
        members.setdefault(key, []).append(row)
    usable = np.isfinite(columns["loss"]) & (columns["loss"] > 0)
    usable &= np.isfinite(columns["flops"]) & (columns["flops"] > 0)
    curves = []
    for (family, run), rows in members.items():
        kept = sorted((row for row in rows if usable[row]), key=lambda row: columns["flops"][row])
        one = {name: float(values[rows[-1]]) for name, values in columns.items()}
        curves.append(
            Curve(
                family=family,
                run=run,
                status=statuses[rows[-1]],
                params=one["params"],
                width=one["width"],
                depth=one["depth"],
                batch_tokens=one["batch_tokens"],
                rate=one["lr"],
                flops=columns["flops"][kept],
                tokens=columns["tokens"][kept],
                loss=columns["loss"][kept],
            )
        )
    return sorted(curves, key=lambda curve: float(np.nan_to_num(curve.params)))


def families_of(curves: Iterable[Curve], laws: Laws | None) -> list[str]:
    """Every family that has a usable evaluation or a fit, in the order of the colours."""
    measured = [curve.family for curve in curves if len(curve.loss)]
    return in_order([*measured, *(laws.families if laws is not None else ())])


def envelope(curves: Iterable[Curve], family: str) -> tuple[np.ndarray, np.ndarray]:
    """Lowest loss the family reached at up to each number of FLOPs, by runs that did not break."""
    sound = [curve for curve in curves if curve.family == family and not curve.broken and len(curve.loss)]
    if not sound:
        return np.empty(0), np.empty(0)
    flops, loss = np.concatenate([c.flops for c in sound]), np.concatenate([c.loss for c in sound])
    order = np.argsort(flops)
    return flops[order], np.minimum.accumulate(loss[order])


def law_line(law: PowerLaw, low: float, high: float, points: int = 60) -> Line:
    """A power law between ``low`` and ``high`` with the interval of its mean.

    Standard error of ln y at x is sqrt(v00 + 2·d·v01 + d²·v11), d = ln x - centre, times Student's t at the fit's
    degrees of freedom (the delta method). The band is for the law, not for a single new run.
    """
    level = law.interval.level if law.interval is not None else 0.95
    x = np.geomspace(low, high, points)
    offset = np.log(x) - law.centre
    log_y = law.intercept + law.exponent * offset
    if law.covariance is None or law.degrees_of_freedom < 1:
        return Line(x, np.exp(log_y), None, None, level)
    (v00, v01), (_, v11) = law.covariance
    spread = np.sqrt(np.maximum(v00 + 2 * offset * v01 + offset**2 * v11, 0.0))
    # With one degree of freedom t is 12.7: clip so that a hopeless band stays drawable.
    reach = np.minimum(float(stats.t.ppf(0.5 + level / 2, law.degrees_of_freedom)) * spread, 20.0)
    return Line(x, np.exp(log_y), np.exp(log_y - reach), np.exp(log_y + reach), level)


def law_pieces(law: PowerLaw) -> tuple[Line, Line]:
    """The law over its own points, and its dashed continuation by ``FORWARD``."""
    low, high = law.x_range
    high = max(high, low * 1.001)
    return law_line(law, low, high), law_line(law, high, high * FORWARD, 24)


def profiles_of(laws: Laws | None, family: str) -> list[Profile]:
    """The family's isoFLOP profiles by budget; empty where nothing was fitted."""
    if laws is None or family not in laws.families:
        return []
    return sorted(laws.families[family].profiles, key=lambda profile: profile.flops)


def budgets_of(laws: Laws | None) -> list[float]:
    """All budgets that have a profile, ascending."""
    if laws is None:
        return []
    return sorted({profile.flops for fit in laws.families.values() for profile in fit.profiles})


def parabola(profile: Profile, points: int = 60) -> tuple[np.ndarray, np.ndarray] | None:
    """The profile's fitted curve, from its smallest to its largest size (or to its vertex, if just outside)."""
    if profile.coefficients is None or not profile.params:
        return None
    low, high = min(profile.params), max(profile.params)
    if profile.vertex is not None and math.isfinite(profile.vertex.params):
        # A vertex beyond the sizes is shown, but a far one would squeeze the measured points to a stripe.
        low = max(min(low, profile.vertex.params), low / 3)
        high = min(max(high, profile.vertex.params), high * 3)
    params = np.geomspace(low, max(high, low * 1.001), points)
    u = np.log(params) - profile.centre
    c0, c1, c2 = profile.coefficients
    return params, np.exp(np.clip(c0 + c1 * u + c2 * u**2, -50, 50))


def best_point(profile: Profile) -> Best | None:
    """Where a profile is lowest: its vertex, or its best run where the minimum lies at the edge of the sizes.

    None for a profile that is not convex or has too few sizes: it says nothing about where the minimum is.
    """
    if profile.status in ("not-convex", "too-few-sizes"):
        return None
    sound, at = profile.status == "interior", profile.vertex
    # A vertex far outside the sizes is an extrapolation that would only squeeze the picture.
    if at is not None and profile.params and min(profile.params) / 3 <= at.params <= max(profile.params) * 3:
        return Best(at.params, at.tokens, at.loss, error_factor(at.ln_params_se), sound)
    if not profile.loss:
        return None
    lowest = min(range(len(profile.loss)), key=lambda index: profile.loss[index])
    return Best(profile.params[lowest], profile.tokens[lowest], profile.loss[lowest], 1.0, False)


def error_factor(log_error: float) -> float:
    """exp(standard error in ln) as the factor of an error bar; 1 where the error is unknown, 10 at most."""
    if not math.isfinite(log_error) or log_error <= 0:
        return 1.0
    return math.exp(min(log_error, math.log(10.0)))


def surface_points(
    table: pd.DataFrame, family: str, budgets: Iterable[float] = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(params, tokens, FLOPs, loss) of the rows a family's surface is fitted to: not the first steps of a run."""
    every: Any = table
    rows = every[every["family"].astype(str) == family] if "family" in table.columns else every.iloc[:0]
    columns = {name: _numbers(rows, name) for name in ("params", "tokens", "flops", "loss")}
    usable = np.all([np.isfinite(v) & (v > 0) for v in columns.values()], axis=0)
    usable &= np.array([s not in BROKEN for s in _words(rows, "status", "done")], bool)
    frame = pd.DataFrame({name: values[usable] for name, values in columns.items()})
    frame["run"] = np.array(_words(rows, "run", "unknown"), object)[usable]
    if not len(frame):
        return (np.empty(0), np.empty(0), np.empty(0), np.empty(0))
    kept = surface_rows(frame, tuple(budgets))
    n, d, flops, loss = (kept[name].to_numpy(float) for name in ("params", "tokens", "flops", "loss"))
    return n, d, flops, loss


def surface_regret(surface: Surface, params: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Ln of the loss at (N, D) over the best loss at the same FLOPs by a surface; arrays broadcast."""
    c, k = coefficients(form_of(surface), np.array(surface.theta)[None], surface.centre), surface.flops_factor
    flops = k * params * tokens
    best = c.best_size(flops, k)
    return np.log(c.loss(params, tokens) / c.loss(best, flops / k / best))


def best_line(surface: Surface, params: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N*, D*) of a surface at budgets between the corners of two ranges."""
    c, k = coefficients(form_of(surface), np.array(surface.theta)[None], surface.centre), surface.flops_factor
    flops = np.geomspace(k * params[0] * tokens[0], k * params[-1] * tokens[-1], 60)
    best = c.best_size(flops, k)
    return best, flops / k / best


def bowls_of(curves: Iterable[Curve]) -> list[Bowl]:
    """Every (family, width, depth, batch, final tokens) at which two or more learning rates finished."""
    tried = [curve for curve in curves if math.isfinite(curve.rate) and curve.rate > 0]
    groups: dict[tuple[str, str, str], list[Curve]] = {}
    for curve in tried:
        if curve.status == "done" and len(curve.loss):
            # Runs of one horizon can differ by a step: three digits, as printed, call them equal.
            groups.setdefault((curve.family, _shape(curve), compact(curve.tokens[-1])), []).append(curve)
    bowls = []
    for (family, shape, horizon), group in groups.items():
        losses: dict[float, list[float]] = {}
        for curve in group:
            losses.setdefault(curve.rate, []).append(float(curve.loss[-1]))
        if len(losses) < 2:
            continue
        rates = tuple(sorted(losses))
        broken = {c.rate for c in tried if c.broken and c.family == family and _shape(c) == shape}
        bowls.append(
            Bowl(
                family=family,
                label=", ".join(part for part in (shape, f"{horizon} tokens") if part),
                rates=rates,
                losses=tuple(sum(losses[rate]) / len(losses[rate]) for rate in rates),
                points=tuple((curve.rate, float(curve.loss[-1])) for curve in group),
                diverged=tuple(sorted(broken)),
            )
        )
    return bowls


def _shape(curve: Curve) -> str:
    parts = []
    if math.isfinite(curve.width) and math.isfinite(curve.depth):
        parts.append(f"{int(curve.width)}×{int(curve.depth)}")
    elif math.isfinite(curve.params):
        parts.append(f"{compact(curve.params)} parameters")
    if math.isfinite(curve.batch_tokens):
        parts.append(f"batch {compact(curve.batch_tokens)}")
    return ", ".join(parts)
