"""The log-SNR clock: λ, its range, the sampling density p(λ) = σ(λ)σ(-λ) and how λ is drawn.

α = σ(λ) is the share of signal, 1 - α = σ(-λ) the share of noise. With the linear rate α = 1 - t a uniform t
gives λ the logistic density p(λ) (2512.10858 §2; GIDD's code, schedule.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


def sigmoid(x: np.ndarray | float) -> np.ndarray:
    """Logistic function without overflow, float64, any shape."""
    x = np.asarray(x, dtype=np.float64)
    return np.exp(-np.logaddexp(0.0, -x))


@dataclass(frozen=True)
class LogSnrRange:
    """The interval of λ a model is trained and judged on; the papers use [-9, 9]."""

    low: float = -9.0
    high: float = 9.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"log-SNR range must be finite with low < high, got [{self.low}, {self.high}]")

    @property
    def mass(self) -> float:
        """Probability of the range under p(λ): σ(high) - σ(low) (0.99975 for ±9)."""
        return float(sigmoid(self.high) - sigmoid(self.low))

    def from_uniform(self, u: np.ndarray) -> np.ndarray:
        """λ for u in [0, 1), same shape: t = t_min + u·(t_max - t_min), λ = logit(1 - t).

        u = 0 gives ``high`` (no noise), u → 1 gives ``low``. Drawn this way λ has density p(λ)/``mass``.
        """
        t = sigmoid(-self.high) + np.asarray(u, dtype=np.float64) * self.mass
        return np.clip(np.log1p(-t) - np.log(t), self.low, self.high)

    def stratified(self, count: int, offset: float, order: np.ndarray) -> np.ndarray:
        """``count`` values of λ, one in each of ``count`` strata of equal mass, shape (count,).

        ``offset`` in [0, 1) is the common position inside the strata; ``order`` (count,) says which stratum
        each row gets. The estimate stays unbiased over a uniform offset and varies far less than independent draws.
        """
        return self.from_uniform((np.asarray(order) + offset) / count)
