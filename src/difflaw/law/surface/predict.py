"""Intervals and joint draws from a fitted surface, of three kinds that are never mixed.

1. *for the law*: a parameter of the surface, or N*(C), D*(C). More runs shrink it.
2. *for a mean loss*: what many runs at (N, D), or at the best size for C, would average. More runs shrink it.
3. *for one new run*: adds the noise of a single run. No number of runs shrinks that part.
All assume the form; with a rolling hold-out they are widened by how fast forecasts went wrong beyond the fitted range.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from difflaw.errors import InputError
from difflaw.formatting import flops as in_flops
from difflaw.law.power import quantile, safe_exp
from difflaw.law.results import HoldOut, Interval, LossForecast, Optimum, Surface
from difflaw.law.surface.forms import Coefficients, Form, coefficients, make_form

FAR = 10.0
"""Forecasts beyond this factor of the largest FLOPs fitted carry a warning."""
FARTHEST = 1e4
"""Extras this factor no interval is worth its digits."""
STEP = 1e-5


def form_of(surface: Surface) -> Form:
    """The form a surface record was fitted with."""
    return make_form(surface.form, surface.entropy)


def parameter_values(form: Form, theta: np.ndarray, shift: tuple[float, float]) -> dict[str, tuple[np.ndarray, bool]]:
    """Named parameters of theta (R, p): name -> (values (R,), whether they are logarithms)."""
    c = coefficients(form, theta, shift)
    named = {
        "A": (c.ln_A, True),
        "B": (c.ln_B, True),
        "alpha": (c.alpha, False),
        "beta": (c.beta, False),
        "params_exponent": (c.beta / (c.alpha + c.beta), False),
    }
    return {"E": (c.E, False), **named} if form.places[2] >= 0 else named


def standard_error(surface: Surface, quantity: Callable[[Coefficients], np.ndarray]) -> tuple[float, float]:
    """(value, standard error) of a function of the coefficients, by the delta method with central differences."""
    theta, form = np.array(surface.theta), form_of(surface)
    p = len(theta)
    steps = np.concatenate([np.zeros((1, p)), STEP * np.eye(p), -STEP * np.eye(p)])
    values = quantity(coefficients(form, theta + steps, surface.centre))
    gradient = (values[1 : p + 1] - values[p + 1 :]) / (2 * STEP)
    if surface.covariance is None:
        return float(values[0]), math.nan
    return float(values[0]), math.sqrt(max(float(gradient @ np.array(surface.covariance) @ gradient), 0.0))


def optimum(surface: Surface, flops: float, *, level: float = 0.95, hold_out: HoldOut | None = None) -> Optimum:
    """N*, D* and the loss there for a training budget, each with its interval.

    Args:
        surface: from `fit_surface`.
        flops: training FLOPs, in the convention C = flops_factor·N·D of the surface.
        level: of the intervals.
        hold_out: widens the loss's intervals by the growth of error it measured.

    Raises:
        InputError: a budget that is not positive and finite.
    """
    _positive(flops=flops)
    k = surface.flops_factor
    ln_n, se = standard_error(surface, lambda c: np.log(c.best_size(flops, k)))
    what = f"at {in_flops(flops)}"
    intervals = []
    for name, centre in (("N*", ln_n), ("D*", math.log(flops / k) - ln_n)):
        if not math.isfinite(se):
            intervals.append(None)
            continue
        half = quantile(level, surface.degrees_of_freedom) * se
        kind = f"{level * 100:g} % for the law's {name} {what}: {surface.interval_method}; assumes the form holds"
        intervals.append(Interval(safe_exp(centre - half), safe_exp(centre + half), level, kind))
    size = math.exp(ln_n)
    return Optimum(
        flops=flops,
        params=size,
        tokens=flops / k / size,
        params_interval=intervals[0],
        tokens_interval=intervals[1],
        forecast=loss_at(surface, size, flops / k / size, level=level, hold_out=hold_out, at_best=True),
    )


def loss_at(
    surface: Surface,
    params: float,
    tokens: float,
    *,
    level: float = 0.95,
    hold_out: HoldOut | None = None,
    at_best: bool = False,
) -> LossForecast:
    """The loss at (N, D) with an interval for the mean of such runs and one for a single new run.

    Args:
        surface: from `fit_surface`.
        params: N, in the table's convention.
        tokens: D.
        level: of the intervals.
        hold_out: widens both intervals by the growth of error it measured, beyond the fitted range.
        at_best: the size is N*(C) and moves with the law, whose error then does not count (envelope theorem).

    Raises:
        InputError: a size or token count that is not positive and finite.
    """
    _positive(params=params, tokens=tokens)
    k = surface.flops_factor
    flops = k * params * tokens

    def ln_loss(c: Coefficients) -> np.ndarray:
        if not at_best:
            return np.log(c.loss(params, tokens))
        size = c.best_size(flops, k)
        return np.log(c.loss(size, flops / k / size))

    value, se = standard_error(surface, ln_loss)
    factor = flops / surface.flops_range[1] if math.isfinite(surface.flops_range[1]) else math.nan
    extra = hold_out.growth * math.log10(factor) if hold_out is not None and factor > 1 else 0.0
    widened = ", widened by the hold-out errors" if extra else ""
    how = f"{surface.interval_method}{widened}; assumes the form holds"
    where = f"at the best size for {in_flops(flops)}" if at_best else f"at N = {params:.4g}, D = {tokens:.4g}"
    mean, run = None, None
    if math.isfinite(se):
        t = quantile(level, surface.degrees_of_freedom)
        half = t * math.hypot(se, extra)
        kind = f"{level * 100:g} % for the mean loss of runs {where}: {how}"
        mean = Interval(safe_exp(value - half), safe_exp(value + half), level, kind)
        half = t * math.hypot(se, extra, surface.run_sd)
        noise = f"run noise of {100 * surface.run_sd:.2g} % added"
        run = Interval(
            safe_exp(value - half),
            safe_exp(value + half),
            level,
            f"{level * 100:g} % for one new run {where}: {how}; {noise}",
        )
    return LossForecast(
        params, tokens, flops, math.exp(value), mean, run, factor, _too_far(surface, flops, factor, hold_out)
    )


def _too_far(surface: Surface, flops: float, factor: float, hold_out: HoldOut | None) -> tuple[str, ...]:
    if not factor > FAR:
        return ()
    top = in_flops(surface.flops_range[1])
    if factor > FARTHEST:
        return (
            f"{in_flops(flops)} is {factor:.2g} times the largest run fitted ({top}); no interval is worth its digits "
            f"there, so take it as a direction and run a rung near {in_flops(surface.flops_range[1] * FAR)} first",
        )
    seen = (
        "no hold-out was made"
        if hold_out is None
        else f"hold-outs went wrong by {100 * hold_out.growth:.1f} % a decade"
    )
    return (
        f"{in_flops(flops)} is {factor:.3g} times the largest run fitted ({top}); {seen}, so run one cell near "
        f"{in_flops(math.sqrt(flops * surface.flops_range[1]))} before you rely on it",
    )


def surface_draws(surface: Surface, count: int = 1000, seed: int = 0) -> Coefficients:
    """Joint draws of the coefficients, multivariate t with the surface's covariance: for probabilities and variances.

    Args:
        surface: from `fit_surface`, with a covariance.
        count: number of draws R.
        seed: same seed, same draws.

    Returns:
        Coefficients of shape (R,), with ``loss(N, D)`` and ``best_size(C, flops_factor)`` for every draw.

    Raises:
        InputError: a surface without covariance (too few runs).
    """
    if surface.covariance is None:
        raise InputError("this surface has no covariance, so it cannot be drawn from; fit it to at least 6 runs")
    rng = np.random.default_rng(seed)
    form, theta = form_of(surface), np.array(surface.theta)
    value, vectors = np.linalg.eigh(np.array(surface.covariance))
    # Eigenvectors are unique up to sign; fix it, so that equal input gives equal draws on every machine.
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(len(theta))])
    normal = rng.standard_normal((count, len(theta)))
    dof = surface.degrees_of_freedom
    stretch = np.sqrt(dof / rng.chisquare(dof, count)) if dof > 0 else np.ones(count)
    drawn = theta + stretch[:, None] * ((normal * np.sqrt(np.maximum(value, 0.0))) @ vectors.T)
    for place in form.places[3:]:
        drawn[:, place] = np.clip(drawn[:, place], 1e-3, 5.0)
    if (e := form.places[2]) >= 0:
        drawn[:, e] = np.minimum(drawn[:, e], form.log_floor if form.name == "at-most" else 20.0)
        if form.name == "at-least":
            drawn[:, e] = np.maximum(drawn[:, e], form.log_floor)
    return coefficients(form, drawn, surface.centre)


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise InputError(f"{name} is {value:g}; give a positive number")
