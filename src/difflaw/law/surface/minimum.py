"""The minimum of one surface on one table: rows in canonical order, several starts, delta from the residuals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from difflaw.law.surface.absolute_deviations import polish
from difflaw.law.surface.covariance import TUNING
from difflaw.law.surface.forms import Form, evaluate, jacobian
from difflaw.law.surface.least_squares import huber_rows, solve
from difflaw.law.surface.starts import grid_starts

MANY_ROWS = 20_000
"""With more rows the starts are compared on a subsample, and one fit to all rows follows."""
EXACT = 1e-13


@dataclass(frozen=True)
class Data:
    """Rows sorted by size, tokens, loss and run, so that no result depends on the order of somebody's file."""

    ln_n: np.ndarray
    ln_d: np.ndarray
    y: np.ndarray
    """ln loss."""
    cluster: np.ndarray
    """Run of each row, 0 to runs - 1."""
    runs: int

    @property
    def shift(self) -> tuple[float, float]:
        """Means of ln N and ln D."""
        return float(self.ln_n.mean()), float(self.ln_d.mean())

    @property
    def x(self) -> np.ndarray:
        """Centred ln N."""
        return self.ln_n - self.ln_n.mean()

    @property
    def z(self) -> np.ndarray:
        """Centred ln D."""
        return self.ln_d - self.ln_d.mean()

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Minimum:
    """The best fit, what it leaves, and whether the starts agree on it."""

    theta: np.ndarray
    objective: float
    delta: float
    agree: int
    starts: int
    residual: np.ndarray
    """ln model - ln loss, shape (n,)."""
    jacobian: np.ndarray
    """Shape (n, p)."""


def canonical(
    params: Sequence[float] | np.ndarray,
    tokens: Sequence[float] | np.ndarray,
    loss: Sequence[float] | np.ndarray,
    runs: Sequence[str] | np.ndarray | None = None,
) -> Data:
    """Columns of shape (n,) as sorted logarithms; without ``runs`` every row is its own."""
    n, d, loss = (np.asarray(v, float) for v in (params, tokens, loss))
    names = np.zeros(len(n), int) if runs is None else np.unique(np.asarray(runs, str), return_inverse=True)[1]
    order = np.lexsort((names, loss, d, n))
    cluster = np.arange(len(n)) if runs is None else names[order]
    count = int(cluster.max()) + 1 if len(n) else 0
    return Data(np.log(n[order]), np.log(d[order]), np.log(loss[order]), cluster, count)


def find_minimum(form: Form, data: Data, delta: float | None = None, starts: int = 4) -> Minimum | None:
    """The best of several starts, or None where no positive coefficients come near the data.

    Args:
        form: the surface.
        data: from `canonical`.
        delta: of the Huber loss; None takes 1.345 · 1.4826 · MAD of the least-squares residuals, 0 is least absolute
            deviations, infinity least squares.
        starts: how many separated cells of the grid of exponents to refine.
    """
    x, z, y = data.x, data.z, data.y
    few = np.arange(len(y)) if len(y) <= MANY_ROWS else np.linspace(0, len(y) - 1, MANY_ROWS // 4).astype(int)
    theta = grid_starts(form, x[few], z[few], y[few], starts)
    if not len(theta):
        return None
    if delta is None:
        plain = solve(form, x[few], z[few], y[few], theta[:2], tolerance=EXACT)
        best = plain.theta[[int(np.argmin(plain.objective))]]
        delta = mad_delta(evaluate(form, best, x[few], z[few])[0][0] - y[few], form.count)
        theta = np.concatenate([best, theta[1:]]) if len(theta) > 1 else best
    aim = delta if delta > 0 else 1e-3
    found = solve(form, x[few], z[few], y[few], theta, aim, tolerance=EXACT)
    order = np.argsort(found.objective, kind="stable")
    best = found.theta[order[0]]
    agree = int((found.objective <= found.objective.min() * (1 + 1e-4) + 1e-16).sum())
    if len(few) < len(y):
        best = solve(form, x, z, y, best[None], aim, tolerance=EXACT).theta[0]
    if delta == 0:
        best, _ = polish(form, x, z, y, best)
    model, parts = evaluate(form, best[None], x, z)
    residual = model[0] - y
    objective = float(np.abs(residual).sum() if delta == 0 else huber_rows(residual, delta).sum())
    return Minimum(best, objective, delta, agree, len(theta), residual, jacobian(form, best[None], x, z, parts)[0].T)


def mad_delta(residual: np.ndarray, parameters: int = 0) -> float:
    """Huber's delta for 95 % efficiency under normal errors, from the median absolute deviation; at least 1e-8.

    ``parameters`` were fitted to the residuals, which shrank them by sqrt(1 - p/n).
    """
    shrunk = math.sqrt(max(1 - parameters / len(residual), 0.25))
    return max(TUNING * float(np.median(np.abs(residual - np.median(residual)))) / shrunk, 1e-8)


def noise_variance(minimum: Minimum) -> float:
    """Variance of a row about the fit, on n - p degrees of freedom."""
    n, p = minimum.jacobian.shape
    return float(minimum.residual @ minimum.residual) / max(n - p, 1) if n > p else math.nan
