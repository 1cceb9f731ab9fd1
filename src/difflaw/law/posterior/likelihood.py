"""How far a run may lie from its law: normal noise that grows away from the lowest loss, and a few runs that failed.

ln L of run i is normal about the law with standard deviation s_i = s·exp(kappa·h_i), h_i = ln L_i - lowest ln L: the
data say through kappa how much less runs far from the target count. A share `FAILED` of the runs scatters as a Cauchy
variable `WIDER` times as wide, so that a diverged or misread run is left to itself instead of bending the law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from difflaw.law.posterior.model import Where

FAILED, WIDER = 0.03, 4.0
ODDS = math.log(FAILED / (1 - FAILED)) - math.log(math.pi * WIDER) + 0.5 * math.log(2 * math.pi)
"""ln of the density of a failed run over that of a sound one, both without error."""
LN_MOST_GROWTH = 3.0


@dataclass(frozen=True)
class Rows:
    """Measured runs: where, ln loss, its distance from the lowest, and how much of an observation each is."""

    at: Where
    y: np.ndarray
    height: np.ndarray
    """ln loss above the lowest, at least 0."""
    weight: np.ndarray
    """1 for an independent run, less where rows share their error (one run, one size)."""

    def __len__(self) -> int:
        return len(self.y)

    def at_rows(self, index: np.ndarray) -> Rows:
        """Some of the rows."""
        a = self.at
        ratio, unique = (None if v is None else v[index] for v in (a.ln_ratio, a.ln_unique))
        return Rows(Where(a.x[index], a.z[index], ratio, unique), self.y[index], self.height[index], self.weight[index])


def log_likelihood(residual: np.ndarray, ln_noise: np.ndarray, ln_growth: np.ndarray, rows: Rows) -> np.ndarray:
    """Ln likelihood of residuals (R, n), shape (R,), for ln s and ln kappa of shape (R,), each row by its weight."""
    return (row_log_likelihood(residual, ln_noise, ln_growth, rows) * rows.weight).sum(1)


def row_log_likelihood(residual: np.ndarray, ln_noise: np.ndarray, ln_growth: np.ndarray, rows: Rows) -> np.ndarray:
    """Ln likelihood of every residual (R, n), up to a constant, for ln s and ln kappa of shape (R,)."""
    growth = np.exp(np.minimum(ln_growth, LN_MOST_GROWTH))[:, None]
    ln_sd = ln_noise[:, None] + growth * rows.height
    square = (residual * np.exp(-ln_sd)) ** 2
    normal = -0.5 * square
    wide = ODDS - np.log1p(square / WIDER**2)
    # logaddexp of the two, written out, since this is where the time goes.
    mixed = np.maximum(normal, wide) + np.log1p(np.exp(-np.abs(normal - wide)))
    return mixed - ln_sd


def sound(residual: np.ndarray, ln_noise: float, growth: float, height: np.ndarray) -> np.ndarray:
    """Probability that each run (n,) is a sound one rather than a failed one."""
    square = (residual * np.exp(-(ln_noise + growth * height))) ** 2
    return 1 / (1 + np.exp(np.clip(ODDS - np.log1p(square / WIDER**2) + 0.5 * square, -60, 60)))


def robust_weight(residual: np.ndarray, ln_noise: float, growth: float, rows: Rows) -> np.ndarray:
    """Weight of each run (n,) in least squares that move towards the likeliest surface: less where it may be failed."""
    square = (residual * np.exp(-(ln_noise + growth * rows.height))) ** 2
    good = sound(residual, ln_noise, growth, rows.height)
    return (good + (1 - good) * 2 / (WIDER**2 + square)) * rows.weight
