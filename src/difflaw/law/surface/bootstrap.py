"""Refits of a surface to resampled runs, thousands at a time.

Pairs: whole runs are drawn with replacement; the spread of refits is narrow by sqrt(n/(n - p)) and by t against normal
quantiles, so refits are stretched about the fit (measured coverage .95-.99 instead of .88-.96). Parametric: noise of a
measured size, such as that between seeds, is added to the fitted surface.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Literal

import numpy as np

from difflaw.errors import InputError
from difflaw.law.power import quantile
from difflaw.law.surface.forms import Coefficients, Form, coefficients, log_loss
from difflaw.law.surface.least_squares import solve
from difflaw.law.surface.minimum import Data, Minimum


@dataclass(frozen=True)
class Bootstrap:
    """Refits of one surface, stretched about the fit where that is due."""

    theta: np.ndarray
    """Shape (count, p)."""
    coefficients: Coefficients
    """Of shape (count,), in the table's units."""
    stretch: float
    settled: float
    """Share of refits that converged."""
    how: str


def bootstrap(
    form: Form,
    data: Data,
    minimum: Minimum,
    *,
    kind: Literal["pairs", "parametric"] = "pairs",
    count: int = 10_000,
    seed: int = 0,
    noise_sd: float | None = None,
    level: float = 0.95,
    workers: int | None = None,
) -> Bootstrap:
    """Refit ``count`` resamples, each started from the fit to all rows.

    Args:
        form: the surface.
        data: from `minimum.canonical`; resampled by run.
        minimum: the fit to all rows; its delta is kept, except that 0 (least absolute deviations) becomes 1e-3, as in
            the publication whose intervals these reproduce.
        kind: "pairs" draws runs; "parametric" adds normal noise of ``noise_sd`` to the fitted ln loss.
        count: resamples.
        seed: same seed and rows, same refits, whatever the rows' order or the number of workers.
        noise_sd: standard deviation of ln loss between equal runs, for "parametric".
        level: whose t quantile the stretch uses.
        workers: threads; default up to two.

    Raises:
        InputError: "parametric" without a noise, fewer runs than parameters.
    """
    rng = np.random.default_rng(seed)
    delta = minimum.delta or 1e-3
    x, z = data.x, data.z
    theta = np.repeat(minimum.theta[None], count, 0)
    threads = min(2, os.cpu_count() or 1) if workers is None else workers
    dof = data.runs - form.count
    if kind == "parametric":
        if noise_sd is None or not noise_sd > 0:
            raise InputError("a parametric bootstrap needs noise_sd, the standard deviation of ln loss between seeds")
        fitted = log_loss(form, minimum.theta[None], x, z)[0]
        offset = noise_sd * rng.standard_normal((count, data.runs))
        found = solve(form, x, z, fitted + offset[:, data.cluster], theta, delta, workers=threads)
        stretch, how = 1.0, f"{count} refits with noise of {noise_sd:.2g} added to every run"
    else:
        if dof < 1:
            raise InputError(f"{data.runs} runs cannot be resampled for {form.count} parameters; run at least 6")
        drawn = rng.multinomial(data.runs, np.full(data.runs, 1 / data.runs), count).astype(float)
        weights = (
            drawn
            if data.runs == len(data) and np.array_equal(data.cluster, np.arange(len(data)))
            else drawn[:, data.cluster]
        )
        found = solve(form, x, z, data.y, theta, delta, weights, workers=threads)
        stretch = quantile(level, dof) / quantile(level, 0) * math.sqrt(data.runs / dof)
        how = f"{count} refits to resampled runs, stretched {stretch:.2f} times for t({dof})"
    spread = minimum.theta + stretch * (found.theta - minimum.theta)
    return Bootstrap(spread, coefficients(form, spread, data.shift), stretch, float(found.settled.mean()), how)
