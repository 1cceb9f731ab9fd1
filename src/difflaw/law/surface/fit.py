"""The loss surface L(N, D) = E + A·N^-alpha + B·D^-beta and its other forms, fitted in logarithms with a robust loss.

Minimises sum of Huber_delta(ln L̂ - ln L) (approach 3 of Hoffmann et al. 2022). Variable projection on a grid of
exponents gives the starts, Levenberg-Marquardt on centred logarithms finishes: milliseconds, not thousands of starts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from difflaw.errors import InputError
from difflaw.law.results import Interval, Surface
from difflaw.law.surface.covariance import condition
from difflaw.law.surface.forms import Form, coefficients, make_form
from difflaw.law.surface.identifiability import (
    POOR,
    REFUSE,
    design_warnings,
    floor_profile,
    residual_text,
    size_effect_text,
    unusable,
    wide_range_text,
)
from difflaw.law.surface.minimum import MANY_ROWS, Data, Minimum, canonical, find_minimum, noise_variance
from difflaw.law.surface.parameter_intervals import parameter_covariance, parameter_intervals
from difflaw.law.surface.size_effect import size_effect, size_groups

Method = Literal["auto", "hc3", "delta", "sizes", "pairs", "parametric"]
METHODS = ("auto", "hc3", "delta", "sizes", "pairs", "parametric")


def fit_surface(
    params: Sequence[float] | np.ndarray,
    tokens: Sequence[float] | np.ndarray,
    loss: Sequence[float] | np.ndarray,
    runs: Sequence[str] | np.ndarray | None = None,
    *,
    delta: float | None = None,
    level: float = 0.95,
    form: str = "free",
    entropy: float | None = None,
    first: Literal["params", "flops_per_token"] = "params",
    method: Method = "auto",
    noise_sd: float | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[Surface | None, tuple[str, ...]]:
    """Fit the surface, or say why the data cannot carry it. The order of the rows does not matter.

    Args:
        params: sizes, shape (n,); FLOPs per token where ``first`` says so.
        tokens: tokens trained on, shape (n,).
        loss: nats per token, shape (n,).
        runs: name of each row's run; rows of one run share their error. Default: each row its own.
        delta: of the Huber loss on log residuals; default 1.345 · 1.4826 · MAD of the least-squares residuals. 1e-3
            is what the literature uses; 0 is least absolute deviations and infinity least squares.
        level: of the intervals.
        form: "free", "zero" (E = 0), "fixed", "at-most", "at-least" (E against ``entropy``), "tied" or "kaplan".
        entropy: nats per token, for the three forms that need it.
        first: what ``params`` holds, which decides C = 6·N·D or M·D.
        method: of the intervals: "auto" is "hc3" (sandwich by run) unless the variance test finds an error shared by
            sizes, then "sizes"; "delta" supposes equal noise; "pairs" resamples runs; "parametric" adds ``noise_sd``.
        noise_sd: standard deviation of ln loss between seeds, for "parametric".
        resamples: of the two bootstraps.
        seed: of the two bootstraps.

    Returns:
        (surface or None, warnings); the surface carries the warnings that concern it as well.

    Raises:
        InputError: an unknown form or method, or an entropy or noise that is missing.
    """
    if method not in METHODS:
        raise InputError(f"no interval method called '{method}'; choose from {', '.join(METHODS)}")
    shape = make_form(form, entropy)
    data = canonical(params, tokens, loss, runs)
    reason = unusable(data, shape)
    if reason:
        return None, (reason,)
    minimum = find_minimum(shape, data, delta)
    if minimum is None:
        return None, (
            "no surface with positive coefficients comes near the data; the loss may not fall with size and tokens",
        )
    number = condition(minimum.jacobian)
    if number > REFUSE and not _at_zero(shape, minimum, data):
        return None, (
            f"the data cannot tell size from tokens (condition number {number:.1e}): no surface; "
            "vary tokens at fixed size and size at fixed tokens",
        )
    rmse = float(np.sqrt(np.mean(minimum.residual**2)))
    if rmse >= float(data.y.std()):
        return None, (residual_text(shape, rmse) + "worse than a constant does: no surface",)
    factor = 6.0 if first == "params" else 1.0
    warnings = design_warnings(data, number, minimum)
    if rmse > POOR:
        warnings.append(residual_text(shape, rmse) + "more than its numbers should be trusted with")
    warnings += [w for w in (wide_range_text(shape, data, minimum, factor),) if w]
    effect = size_effect(minimum.jacobian, minimum.residual, size_groups(data.ln_n))
    if method == "auto":
        method = "sizes" if effect.detected else "hc3"
        warnings += [w for w in (size_effect_text(effect),) if w]
    covariance, dof, how, drawn = None, 0, "", None
    if data.runs > shape.count:
        covariance, dof, how, drawn = parameter_covariance(
            shape, data, minimum, method, effect, (noise_sd, resamples, seed, level)
        )
    intervals = (
        {} if covariance is None else parameter_intervals(shape, data, minimum, covariance, dof, level, how, drawn)
    )
    if covariance is not None and shape.places[2] >= 0:
        intervals["E_profile"], caveat = _floor(shape, data, minimum, covariance, dof, level, how, intervals["E"])
        warnings += [caveat] if caveat else []
    c = coefficients(shape, minimum.theta[None], data.shift)
    alpha, beta = float(c.alpha[0]), float(c.beta[0])
    ln_c = data.ln_n + data.ln_d + math.log(factor)
    noise = math.hypot(effect.between_sd, effect.within_sd) if effect.detected else math.sqrt(noise_variance(minimum))
    surface = Surface(
        E=float(c.E[0]),
        A=math.exp(min(float(c.ln_A[0]), 700.0)),
        B=math.exp(min(float(c.ln_B[0]), 700.0)),
        alpha=alpha,
        beta=beta,
        params_exponent=beta / (alpha + beta),
        intervals=intervals,
        huber_delta=float(minimum.delta),
        objective=minimum.objective,
        rmse_log=rmse,
        condition=number,
        starts_agreeing=(minimum.agree, minimum.starts),
        points=len(data),
        runs=data.runs,
        warnings=tuple(warnings),
        form=form,
        entropy=entropy,
        theta=tuple(float(v) for v in minimum.theta),
        covariance=None if covariance is None else tuple(tuple(float(v) for v in row) for row in covariance),
        centre=data.shift,
        degrees_of_freedom=dof,
        interval_method=how,
        run_sd=noise,
        flops_factor=factor,
        params_range=_range(data.ln_n),
        tokens_range=_range(data.ln_d),
        flops_range=_range(ln_c),
        size_effect=effect if effect.repeated >= 2 else None,
    )
    return surface, tuple(warnings)


def _floor(
    form: Form,
    data: Data,
    minimum: Minimum,
    covariance: np.ndarray,
    dof: int,
    level: float,
    how: str,
    wald: Interval,
) -> tuple[Interval, str]:
    """The profile interval of E and, where it has no end, a sentence that says so."""
    lowest = math.exp(float(data.y.min()))
    if len(data) > MANY_ROWS:
        low, high = max(wald.low, 0.0), min(wald.high, lowest)
    else:
        low, high = floor_profile(form, data, minimum, covariance, dof, level)
    caveat = ""
    if low <= 0 or high >= lowest or wald.low <= 0 or wald.high >= lowest:
        caveat = (
            "E is not identified: its interval reaches 0 or the lowest loss measured; forecasts beyond the data follow "
            "from the form that was chosen, not from the data; run larger or longer cells, or fix E at a known entropy"
        )
    return Interval(low, high, level, f"{level * 100:g} % for the surface's E, by profile: {how}"), caveat


def _at_zero(form: Form, minimum: Minimum, data: Data) -> bool:
    """Whether the floor has gone to zero, which makes no other parameter unidentified."""
    e = form.places[2]
    return e >= 0 and minimum.theta[e] < float(data.y.min()) - 10


def _range(logarithms: np.ndarray) -> tuple[float, float]:
    return math.exp(float(logarithms.min())), math.exp(float(logarithms.max()))
