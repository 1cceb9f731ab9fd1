"""FittedFamilies and isoFLOP profiles as they are drawn: lines with bands, parabolas, minima and whether they count."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from difflaw.law.results import FittedFamilies, PowerLaw, Profile

FORWARD = 4.0
"""How far past its points a law is drawn (dashed), as a factor: far enough to see the band open, not to believe it."""


@dataclass(frozen=True)
class LawLine:
    """A law as points to draw; ``low`` and ``high`` bound its mean where the fit has a covariance."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    level: float


@dataclass(frozen=True)
class ProfileMinimum:
    """The lowest point of a profile; ``factor`` is exp(standard error of ln N*), ``sound`` whether it counts."""

    params: float
    tokens: float
    loss: float
    factor: float
    sound: bool


def law_line(law: PowerLaw, low: float, high: float, points: int = 60) -> LawLine:
    """A power law between ``low`` and ``high`` with the interval of its mean.

    Standard error of ln y at x is sqrt(v00 + 2·d·v01 + d²·v11), d = ln x - centre, times Student's t at the fit's
    degrees of freedom (the delta method). The band is for the law, not for a single new run.
    """
    level = law.interval.level if law.interval is not None else 0.95
    x = np.geomspace(low, high, points)
    offset = np.log(x) - law.centre
    log_y = law.intercept + law.exponent * offset
    if law.covariance is None or law.degrees_of_freedom < 1:
        return LawLine(x, np.exp(log_y), None, None, level)
    (v00, v01), (_, v11) = law.covariance
    spread = np.sqrt(np.maximum(v00 + 2 * offset * v01 + offset**2 * v11, 0.0))
    # With one degree of freedom t is 12.7: clip so that a hopeless band stays drawable.
    reach = np.minimum(float(stats.t.ppf(0.5 + level / 2, law.degrees_of_freedom)) * spread, 20.0)
    return LawLine(x, np.exp(log_y), np.exp(log_y - reach), np.exp(log_y + reach), level)


def law_pieces(law: PowerLaw) -> tuple[LawLine, LawLine]:
    """The law over its own points, and its dashed continuation by ``FORWARD``."""
    low, high = law.x_range
    high = max(high, low * 1.001)
    return law_line(law, low, high), law_line(law, high, high * FORWARD, 24)


def profiles_of(laws: FittedFamilies | None, family: str) -> list[Profile]:
    """The family's isoFLOP profiles by budget; empty where nothing was fitted."""
    if laws is None or family not in laws.families:
        return []
    return sorted(laws.families[family].profiles, key=lambda profile: profile.flops)


def budgets_of(laws: FittedFamilies | None) -> list[float]:
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
        # A vertex outside the sizes is shown, but a far one would squeeze the measured points to a stripe.
        low = max(min(low, profile.vertex.params), low / 3)
        high = min(max(high, profile.vertex.params), high * 3)
    params = np.geomspace(low, max(high, low * 1.001), points)
    u = np.log(params) - profile.centre
    c0, c1, c2 = profile.coefficients
    return params, np.exp(np.clip(c0 + c1 * u + c2 * u**2, -50, 50))


def best_point(profile: Profile) -> ProfileMinimum | None:
    """Where a profile is lowest: its vertex, or its best run where the minimum lies at the edge of the sizes.

    None for a profile that is not convex or has too few sizes: it says nothing about where the minimum is.
    """
    if profile.status in ("not-convex", "too-few-sizes"):
        return None
    sound, at = profile.status == "interior", profile.vertex
    # A vertex far outside the sizes is an extrapolation that would only squeeze the picture.
    if at is not None and profile.params and min(profile.params) / 3 <= at.params <= max(profile.params) * 3:
        return ProfileMinimum(at.params, at.tokens, at.loss, error_factor(at.ln_params_se), sound)
    if not profile.loss:
        return None
    lowest = min(range(len(profile.loss)), key=lambda index: profile.loss[index])
    return ProfileMinimum(profile.params[lowest], profile.tokens[lowest], profile.loss[lowest], 1.0, False)


def error_factor(log_error: float) -> float:
    """exp(standard error in ln) as the factor of an error bar; 1 where the error is unknown, 10 at most."""
    if not math.isfinite(log_error) or log_error <= 0:
        return 1.0
    return math.exp(min(log_error, math.log(10.0)))
