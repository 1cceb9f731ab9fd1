"""Power laws as weighted lines in logarithms, with intervals that say what they cover.

ln y = intercept + exponent·(ln x - centre). Covariances: the HC3 sandwich of MacKinnon and White (1985), with Student t
on n - 2; or, where the variances of the points are known, (X'WX)⁻¹ with W = 1/(variance + tau²), tau² being the excess
scatter by moments (DerSimonian and Laird 1986, for a regression).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from difflaw.law.results import Interval, PowerLaw


@dataclass(frozen=True)
class Spread:
    """A covariance of (intercept, exponent), the degrees of freedom it is worth (0: normal), and how it was made."""

    covariance: np.ndarray
    dof: int
    how: str

    def half_width(self, level: float) -> float:
        """Half the width of the exponent's interval."""
        return quantile(level, self.dof) * math.sqrt(max(float(self.covariance[1, 1]), 0.0))


@dataclass(frozen=True)
class Line:
    """A weighted line in logarithms and the ways to state its error that the data allow."""

    ln_x: np.ndarray
    ln_y: np.ndarray
    weights: np.ndarray
    centre: float
    intercept: float
    slope: float
    tau2: float
    spreads: tuple[Spread, ...]


def quantile(level: float, dof: int) -> float:
    """Two-sided Student t quantile; the normal one for ``dof`` = 0."""
    from scipy.special import ndtri, stdtrit

    tail = 0.5 + level / 2
    return float(stdtrit(dof, tail)) if dof > 0 else float(ndtri(tail))


def safe_exp(value: float) -> float:
    """e^value, cut to what a number can hold: a law that three rows carry reaches past any."""
    return math.exp(min(max(value, -700.0), 700.0))


def robust_covariance(draws: np.ndarray) -> np.ndarray:
    """Covariance of draws (R, p) from their 2.5 and 97.5 percentiles: a few wild refits do not set the scale."""
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    sd = (high - low) / (2 * quantile(0.95, 0))
    clipped = np.clip(draws, low, high)
    spread = np.maximum(clipped.std(0), 1e-300)
    correlation = np.cov(clipped.T, bias=True) / np.outer(spread, spread)
    return correlation * np.outer(sd, sd)


def fit_line(
    ln_x: Sequence[float] | np.ndarray,
    ln_y: Sequence[float] | np.ndarray,
    variance: Sequence[float] | np.ndarray | None = None,
    variance_dof: int = 0,
) -> Line | None:
    """Weighted line through points in logarithms; None where fewer than two distinct x are given.

    Args:
        ln_x: shape (n,).
        ln_y: shape (n,).
        variance: of each ln_y, shape (n,); not finite means unknown.
        variance_dof: degrees of freedom behind ``variance``; 0 for a known variance.
    """
    x, y = np.asarray(ln_x, float), np.asarray(ln_y, float)
    if len(x) < 2 or np.ptp(x) < 1e-9:
        return None
    v = None if variance is None else np.asarray(variance, float)
    if v is not None and not np.isfinite(v).all():
        v = None
    tau2, weights = 0.0, np.ones_like(x)
    if v is not None and v.max() > 0:
        v = np.maximum(v, 1e-6 * v.max())  # one point cannot be a million times surer than another
        tau2 = _excess(x, y, v)
        weights = 1 / (v + tau2)
    scale = weights / weights.max()  # so that noise-free points (variances near 1e-30) stay well inside floats
    centre = float(scale @ x / scale.sum())
    design = np.stack([np.ones_like(x), x - centre], 1)
    bread = np.linalg.inv(design.T @ (scale[:, None] * design))
    intercept, slope = bread @ design.T @ (scale * y)
    residual = y - design @ (intercept, slope)
    n, spreads = len(x), []
    if n >= 3:
        spreads.append(Spread(hc3(design, scale, residual), n - 2, f"HC3, t({n - 2}), {n} points"))
    if v is not None:
        known = f"t({variance_dof})" if variance_dof else "normal"
        spreads.append(Spread(bread / weights.max(), variance_dof, f"errors of the {n} points, {known}"))
    return Line(x, y, scale, centre, float(intercept), float(slope), tau2, tuple(spreads))


def hc3(design: np.ndarray, weights: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """HC3 sandwich of a weighted regression: B X'W diag(r²/(1-h)²) WX B, B = (X'WX)⁻¹, h the leverages."""
    bread = np.linalg.inv(design.T @ (weights[:, None] * design))
    leverage = weights * np.einsum("ij,jk,ik->i", design, bread, design)
    scores = design * (weights * residual / np.maximum(1 - leverage, 1e-6))[:, None]
    return bread @ (scores.T @ scores) @ bread


def _excess(x: np.ndarray, y: np.ndarray, variance: np.ndarray) -> float:
    """Scatter of the points in excess of their variances, tau², by moments and not below 0."""
    w = 1 / variance
    design = np.stack([np.ones_like(x), x - w @ x / w.sum()], 1)
    bread = np.linalg.inv(design.T @ (w[:, None] * design))
    residual = y - design @ (bread @ design.T @ (w * y))
    gain = w.sum() - np.trace(bread @ design.T @ ((w * w)[:, None] * design))
    return max(0.0, float(w @ residual**2 - (len(x) - 2)) / float(gain)) if len(x) > 2 and gain > 0 else 0.0


def power_law(
    line: Line | None, y_name: str, x_name: str, level: float = 0.95, extra: Sequence[Spread] = (), note: str = ""
) -> PowerLaw | None:
    """Turn a line into a law whose interval is the widest of the line's spreads and ``extra``.

    With three points HC3 is left out where the points' own errors are known: measured on planted ladders, the others
    cover 96-97 % while HC3 with t(1) is 17 times wider than the scatter.

    ``covariance`` and ``degrees_of_freedom`` are those of the interval chosen, so a prediction made from them agrees
    with the exponent's interval. None for no line; no interval where nothing says how sure the points are.
    ``note`` is a caveat of the line's own spreads, not of ``extra``.
    """
    if line is None:
        return None
    spreads = [s for s in (*line.spreads, *extra) if np.isfinite(s.covariance).all()]
    if len(line.ln_x) == 3 and len(spreads) > 1:
        # t(1) = 12.7 on one residual says nothing; with the points' own errors known, those decide.
        spreads = [s for s in spreads if not s.how.startswith("HC3")]
    chosen = max(spreads, key=lambda s: s.half_width(level), default=None)
    interval, covariance = None, None
    if chosen is not None:
        half = chosen.half_width(level)
        more = f"; the widest of {len(spreads)} ways" if len(spreads) > 1 else ""
        note = note if any(chosen is s for s in line.spreads) else ""
        kind = f"{level * 100:g} % for the law's exponent: {chosen.how}{more}{'; ' + note if note else ''}"
        interval = Interval(line.slope - half, line.slope + half, level, kind)
        c = chosen.covariance
        covariance = ((float(c[0, 0]), float(c[0, 1])), (float(c[1, 0]), float(c[1, 1])))
    residual = line.ln_y - line.intercept - line.slope * (line.ln_x - line.centre)
    return PowerLaw(
        y=y_name,
        x=x_name,
        coefficient=math.exp(line.intercept - line.slope * line.centre),
        exponent=line.slope,
        interval=interval,
        centre=line.centre,
        intercept=line.intercept,
        covariance=covariance,
        degrees_of_freedom=chosen.dof if chosen else 0,
        points=len(line.ln_x),
        rmse_log=float(np.sqrt(np.mean(residual**2))),
        x_range=(math.exp(float(line.ln_x.min())), math.exp(float(line.ln_x.max()))),
    )


def fit_power(
    x: Sequence[float] | np.ndarray,
    y: Sequence[float] | np.ndarray,
    *,
    y_name: str = "y",
    x_name: str = "x",
    variance: Sequence[float] | np.ndarray | None = None,
    variance_dof: int = 0,
    level: float = 0.95,
) -> PowerLaw | None:
    """Fit y = coefficient · x^exponent through positive points (see `fit_line` for the arguments)."""
    line = fit_line(np.log(np.asarray(x, float)), np.log(np.asarray(y, float)), variance, variance_dof)
    return power_law(line, y_name, x_name, level)


def predict_interval(law: PowerLaw, x: float, level: float = 0.95) -> Interval | None:
    """Interval of the law's mean at ``x`` (not of a new run, and not of the law's form being wrong)."""
    if law.covariance is None:
        return None
    d = math.log(x) - law.centre
    c = law.covariance
    variance = c[0][0] + d * (c[0][1] + c[1][0]) + d * d * c[1][1]
    half = quantile(level, law.degrees_of_freedom) * math.sqrt(max(variance, 0.0))
    factor = max(x / law.x_range[1], law.x_range[0] / x)
    where = "inside the fitted range" if factor <= 1 + 1e-9 else f"a factor {factor:.3g} outside the fitted range"
    kind = f"{level * 100:g} % for the law's mean {law.y} at this {law.x}, {where}; assumes the power law holds"
    return Interval(law(x) * math.exp(-half), law(x) * math.exp(half), level, kind)
