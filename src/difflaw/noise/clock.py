"""The log-SNR clock: λ, its range, the sampling density p(λ) = σ(λ)σ(-λ) and how λ is drawn.

α = σ(λ) is the share of signal, 1 - α = σ(-λ) the share of noise. With the linear rate α = 1 - t a uniform t
gives λ the logistic density p(λ) (2512.10858; its code, schedule.py; docs/derivations.md#nelbo).
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

    def stratified(self, count: int, offset: float, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One λ in each of ``count`` strata, and its weight relative to p(λ): two arrays of shape (count,).

        ``offset`` in [0, 1) is the common position inside the strata, ``order`` (count,) the stratum of each row.
        mean(weight·f(λ)) estimates E_p[f] without bias over a uniform offset. The integrand of every bound here has
        variance of about 1/τ at a share τ of noise, so the strata are narrower there: τ has density (1 + τ^-½/2)/2,
        which is bounded from below (no weight exceeds 2) and cuts the variance of a masked bound about 2.5 times.
        """
        u = (np.asarray(order) + offset) / count
        root = (np.sqrt(1.0 + 8.0 * u) - 1.0) / 2.0  # √τ, solving (τ + √τ)/2 = u
        return self.from_uniform(root**2), 2.0 * root / (root + 0.5)
