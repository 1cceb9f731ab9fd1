"""Covariance and intervals of a surface's parameters by each method, the method named in the interval."""

from __future__ import annotations

import math

import numpy as np

from difflaw.law.power import quantile, robust_covariance
from difflaw.law.results import Interval, SizeEffect
from difflaw.law.surface.bootstrap import bootstrap
from difflaw.law.surface.covariance import equal_noise, sandwich, shared_by_size
from difflaw.law.surface.forms import Form
from difflaw.law.surface.minimum import Data, Minimum, noise_variance
from difflaw.law.surface.predict import parameter_values
from difflaw.law.surface.size_effect import size_groups


def parameter_covariance(
    form: Form,
    data: Data,
    minimum: Minimum,
    method: str,
    effect: SizeEffect,
    options: tuple[float | None, int, int, float],
) -> tuple[np.ndarray, int, str, np.ndarray | None]:
    """(covariance of theta, degrees of freedom, in words, refits (R, p) or None).

    Args:
        form: the surface.
        data: its rows.
        minimum: the fit.
        method: "hc3", "delta", "sizes", "pairs" or "parametric".
        effect: the error shared by sizes, for "sizes".
        options: (noise_sd, resamples, seed, level) of the bootstraps.
    """
    dof = data.runs - form.count
    grouped = data.runs < len(data)
    if method == "hc3":
        found = sandwich(minimum.jacobian, minimum.residual, data.cluster, minimum.delta)
        return found, dof, f"{'clustered by run, CR3' if grouped else 'HC3'} sandwich, t({dof})", None
    if method == "delta":
        return equal_noise(minimum.jacobian, noise_variance(minimum)), dof, f"delta method, equal noise, t({dof})", None
    if method == "sizes":
        dof = max(1, min(dof, effect.sizes - 3))
        found = sandwich(minimum.jacobian, minimum.residual, data.cluster, minimum.delta)
        found = found + shared_by_size(minimum.jacobian, size_groups(data.ln_n), effect.between_sd**2)
        how = f"HC3 sandwich and a random effect of {effect.sizes} sizes (REML sd {effect.between_sd:.2g}), t({dof})"
        return found, dof, how, None
    noise_sd, resamples, seed, level = options
    kind = "pairs" if method == "pairs" else "parametric"
    refits = bootstrap(form, data, minimum, kind=kind, noise_sd=noise_sd, count=resamples, seed=seed, level=level)
    # The refits are stretched to t already, so their spread is read with normal quantiles.
    return robust_covariance(refits.theta), 0, refits.how, refits.theta


def parameter_intervals(
    form: Form,
    data: Data,
    minimum: Minimum,
    covariance: np.ndarray,
    dof: int,
    level: float,
    how: str,
    refits: np.ndarray | None,
) -> dict[str, Interval]:
    """Intervals of the law's parameters by name: symmetric (A and B in logarithms), or percentiles of refits."""
    p, step = form.count, 1e-5
    moved = minimum.theta + np.concatenate([np.zeros((1, p)), step * np.eye(p), -step * np.eye(p)])
    drawn = {} if refits is None else parameter_values(form, refits, data.shift)
    out = {}
    for name, (value, logarithm) in parameter_values(form, moved, data.shift).items():
        if refits is None:
            gradient = (value[1 : p + 1] - value[p + 1 :]) / (2 * step)
            half = quantile(level, dof) * math.sqrt(max(float(gradient @ covariance @ gradient), 0.0))
            low, high = float(value[0]) - half, float(value[0]) + half
        else:
            low, high = (float(v) for v in np.quantile(drawn[name][0], [0.5 - level / 2, 0.5 + level / 2]))
        if logarithm:
            low, high = math.exp(max(low, -700)), math.exp(min(high, 700))
        if name == "E" and form.name == "at-most":
            high = min(high, math.exp(form.log_floor))
        if name == "E" and form.name == "at-least":
            low = max(low, math.exp(form.log_floor))
        out[name] = Interval(
            low, high, level, f"{level * 100:g} % for the surface's {name}: {how}; assumes the form holds"
        )
    return out
