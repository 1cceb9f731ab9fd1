"""How far a run may lie from its law: normal noise that grows away from the lowest loss, and a few runs that failed.

ln L of run i is normal about the law with standard deviation s_i = s·exp(kappa·h_i), h_i = ln L_i - lowest ln L: the
data say through kappa how much less runs far from the target count. A share `FAILED` of the runs has `WIDER` times
that deviation, so that a diverged or misread run is left to itself instead of bending the law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from difflaw.law.posterior.model import Where

FAILED, WIDER = 0.03, 10.0
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
    """Ln likelihood of residuals (R, n), shape (R,), for ln s and ln kappa of shape (R,)."""
    growth = np.exp(np.minimum(ln_growth, LN_MOST_GROWTH))[:, None]
    ln_sd = ln_noise[:, None] + growth * rows.height
    square = -0.5 * (residual * np.exp(-ln_sd)) ** 2
    normal = square + math.log(1 - FAILED)
    # logaddexp of the two, written out: the wide one is never more than ln(WIDER) above what cannot underflow.
    wide = square / WIDER**2 + math.log(FAILED / WIDER)
    top = np.maximum(normal, wide)
    mixed = top + np.log1p(np.exp(-np.abs(normal - wide)))
    return ((mixed - ln_sd) * rows.weight).sum(1)


def sound(residual: np.ndarray, ln_noise: float, growth: float, height: np.ndarray) -> np.ndarray:
    """Probability that each run (n,) is a sound one rather than a failed one."""
    t = (residual * np.exp(-(ln_noise + growth * height))) ** 2
    odds = math.log(FAILED / WIDER / (1 - FAILED)) + 0.5 * t * (1 - 1 / WIDER**2)
    return 1 / (1 + np.exp(np.clip(odds, -60, 60)))
