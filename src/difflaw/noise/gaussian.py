"""Duo's operator α = T(α̃): what the argmax of a Gaussian latent keeps of a token, exact, with its derivative.

w = α̃·onehot(x) + σ̃·ε over K ids, α̃² = σ(-γ), σ̃² = σ(γ). Then argmax w is x with probability P(γ) and any other
id alike, which is a uniform-state process with α = (K·P - 1)/(K - 1) (Duo, 2506.10892 §3).
With μ = α̃/σ̃ = e^{-γ/2} and G = Φ^{K-1}, the cdf of the largest of the K - 1 other coordinates over σ̃:

    P        = ∫ φ(z - μ) G(z) dz
    P - 1/K  = ∫ φ(z) expm1(μz - μ²/2) G(z) dz       since ∫ φ G = 1/K exactly: no cancellation at small α
    1 - P    = ∫ φ(z - μ) (1 - G(z)) dz              no cancellation at small 1 - α
    dP/dμ    = ∫ φ(z - μ) G'(z) dz                   by parts: a positive integrand

All integrands are entire and fall like a Gaussian, so the trapezoidal rule converges geometrically in its step.
Derivation: docs/derivations.md#gaussian.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import log_ndtr, logsumexp

from difflaw.noise.clock import sigmoid

_STEP = 1.0 / 32.0
"""A power of two, so that nodes are exactly equidistant; halving it changes nothing beyond 1e-15."""
_REACH = 10.0
"""Nodes reach this far to both sides of a peak. The integrands' logarithms bend by -1 or more: e^-50 is left there."""
_FAR = 30.0
"""Beyond it log G underflows, and 1 - G = (K-1)·Φ(-z) to all digits."""
_ROWS = 2048
_PANEL = 0.5
_DEGREE = 18


@dataclass(frozen=True)
class GaussianValues:
    """α(γ) in logarithms, so that both ends keep their digits: log α, log(1 - α), log(-dα/dγ), one shape each."""

    log_alpha: np.ndarray
    log_noise: np.ndarray
    log_decay: np.ndarray

    @property
    def alpha(self) -> np.ndarray:
        """α, the share of signal."""
        return np.exp(self.log_alpha)

    @property
    def derivative(self) -> np.ndarray:
        """dα/dγ, negative."""
        return -np.exp(self.log_decay)

    @property
    def log_snr(self) -> np.ndarray:
        """λ = logit α."""
        return self.log_alpha - self.log_noise

    @property
    def log_snr_slope(self) -> np.ndarray:
        """dλ/dγ = (dα/dγ)/(α(1 - α)), negative."""
        return -np.exp(self.log_decay - self.log_alpha - self.log_noise)


def evaluate(gamma: np.ndarray | float, vocab_size: int) -> GaussianValues:
    """α(γ) and dα/dγ by direct quadrature, float64, relative error about 1e-14; any shape of γ, any K ≥ 2.

    Costs some thousand normal cdfs for each γ; ``GaussianOperator`` is the fast form. Raises ValueError for a
    vocabulary below 2 or a γ that is not finite.
    """
    if vocab_size < 2:
        raise ValueError(f"vocab_size must be at least 2, got {vocab_size}")
    gamma = np.asarray(gamma, dtype=np.float64)
    if not np.isfinite(gamma).all():
        raise ValueError("gamma must be finite")
    parts = [_evaluate(rows, vocab_size) for rows in np.split(gamma.ravel(), range(_ROWS, gamma.size, _ROWS))]
    log_alpha, log_noise, log_decay = (
        np.concatenate(column).reshape(gamma.shape) for column in zip(*parts, strict=True)
    )
    return GaussianValues(log_alpha, log_noise, log_decay)


def _evaluate(gamma: np.ndarray, vocab_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mu, others = np.exp(-gamma / 2.0)[:, None], vocab_size - 1
    scale = math.log(vocab_size) - math.log(others)  # log K/(K-1), from P's scale to that of α

    log_noise = scale + _log_integral(lambda z: _log_normal(z - mu) + _log_survival(z, others), mu / 2.0 - 2.0, mu)
    # (K-1)·φ(z-μ)·φ(z)·Φ^{K-2}: completing the square leaves a peak at μ/2 that Φ^{K-2} pushes to the right
    low, high = mu / 2.0, mu / 2.0 + math.sqrt(2.0 * math.log(vocab_size))
    log_dp = math.log(others) + _log_integral(
        lambda z: _log_normal(z - mu) + _log_normal(z) + (others - 1) * log_ndtr(z), low, high
    )
    log_alpha = np.empty_like(log_noise)
    noisy = log_noise > -math.log(2.0)
    log_alpha[~noisy] = np.log1p(-np.exp(log_noise[~noisy]))
    log_alpha[noisy] = scale + np.log(_excess(mu[noisy], others))
    return log_alpha, log_noise, scale + log_dp - gamma / 2.0 - math.log(2.0)


def _excess(mu: np.ndarray, others: int) -> np.ndarray:
    """P - 1/K for μ (n, 1), where noise is at least half: μ stays below the median of the largest, √(2 log K)."""
    if not mu.size:
        return np.empty(0)
    z = np.arange(-_REACH, float(mu.max()) + _REACH, _STEP)
    weight = np.exp(_log_normal(z) + others * log_ndtr(z)) * _STEP
    return np.expm1(mu * z - mu**2 / 2.0) @ weight


def _log_normal(z: np.ndarray) -> np.ndarray:
    return -0.5 * z**2 - 0.5 * math.log(2.0 * math.pi)


def _log_survival(z: np.ndarray, others: int) -> np.ndarray:
    """Log(1 - Φ(z)^others) to all digits at both ends."""
    near = np.minimum(z, _FAR)
    body = np.log(-np.expm1(others * log_ndtr(near)))
    return np.where(z > _FAR, math.log(others) + log_ndtr(-z), body)


def _log_integral(log_f: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Log ∫ f for log-concave f with its peak in [low, high] (n, 1): trapezoidal rule around the peak, result (n,)."""
    while float((high - low).max()) > 1e-2 * (1.0 + 1e-9 * float(np.abs(high).max())):
        left, right = (2.0 * low + high) / 3.0, (low + 2.0 * high) / 3.0
        rising = log_f(left) < log_f(right)
        low, high = np.where(rising, left, low), np.where(rising, high, right)
    z = (low + high) / 2.0 + np.arange(-_REACH, _REACH, _STEP)
    return logsumexp(log_f(z), axis=-1) + math.log(_STEP)


@dataclass(frozen=True)
class GaussianOperator:
    """T over one vocabulary and range of γ, tabulated: as exact as the quadrature to 1e-10, at a polynomial's price.

    γ runs linearly in the clock u from ``gamma_min`` (least noise) at 0 to ``gamma_max`` at 1. Duo's ranges: OWT
    [-3.55, -1.85], LM1B [-3.5, -1.75], distillation [-4, -1] (its scripts/). Arrays keep their shape, all is
    float64. The table belongs to the three numbers and is made once a process.
    """

    vocab_size: int
    gamma_min: float
    gamma_max: float

    def __post_init__(self) -> None:
        if self.vocab_size < 2:
            raise ValueError(f"vocab_size must be at least 2, got {self.vocab_size}")
        if not (math.isfinite(self.gamma_min) and math.isfinite(self.gamma_max) and self.gamma_min < self.gamma_max):
            raise ValueError(f"gamma range must be finite with min < max, got [{self.gamma_min}, {self.gamma_max}]")

    def gamma_at(self, u: np.ndarray | float) -> np.ndarray:
        """γ at clock u in [0, 1]: γ_min + u·(γ_max - γ_min)."""
        return self.gamma_min + np.asarray(u, dtype=np.float64) * (self.gamma_max - self.gamma_min)

    def alpha(self, gamma: np.ndarray | float) -> np.ndarray:
        """α(γ), the share of signal of the discrete process. ValueError outside the range, as below."""
        return sigmoid(self.log_snr(gamma))

    def derivative(self, gamma: np.ndarray | float) -> np.ndarray:
        """dα/dγ = α(1 - α)·dλ/dγ, negative; times γ_max - γ_min it is the derivative by the clock."""
        log_snr = self.log_snr(gamma)
        return sigmoid(log_snr) * sigmoid(-log_snr) * self.log_snr_slope(gamma)

    def log_snr(self, gamma: np.ndarray | float) -> np.ndarray:
        """λ(γ) = logit α, falling in γ; keeps its digits where α or 1 - α underflow."""
        return _interpolate(_table(self)[0], self._position(gamma))

    def log_snr_slope(self, gamma: np.ndarray | float) -> np.ndarray:
        """dλ/dγ, negative."""
        return -np.exp(_interpolate(_table(self)[1], self._position(gamma)))

    def gamma(self, log_snr: np.ndarray | float) -> np.ndarray:
        """γ at which logit α is ``log_snr``: Newton on the table. ValueError for a λ that the range does not reach."""
        target = np.asarray(log_snr, dtype=np.float64)
        ends = self.gamma_at(np.linspace(0.0, 1.0, 4 * len(_table(self)[0]) + 1))
        known = self.log_snr(ends)
        slack = 1e-6 * (1.0 + np.abs(target))  # λ may have been rounded to float32
        if not np.all((target >= known[-1] - slack) & (target <= known[0] + slack)):
            raise ValueError(
                f"log_snr must lie in [{known[-1]:.6g}, {known[0]:.6g}], "
                f"what gamma in [{self.gamma_min}, {self.gamma_max}] covers for {self.vocab_size} ids"
            )
        gamma = np.interp(target, known[::-1], ends[::-1])
        for _ in range(6):
            step = (self.log_snr(gamma) - target) / self.log_snr_slope(gamma)
            gamma = np.clip(gamma - step, self.gamma_min, self.gamma_max)
        return gamma

    def _position(self, gamma: np.ndarray | float) -> np.ndarray:
        """(γ - γ_min)/(γ_max - γ_min) in [0, 1], or ValueError."""
        u = (np.asarray(gamma, dtype=np.float64) - self.gamma_min) / (self.gamma_max - self.gamma_min)
        if not np.all((u >= -1e-6) & (u <= 1.0 + 1e-6)):
            raise ValueError(f"gamma must lie in [{self.gamma_min}, {self.gamma_max}]")
        return np.clip(u, 0.0, 1.0)


@lru_cache(maxsize=32)
def _table(operator: GaussianOperator) -> tuple[np.ndarray, np.ndarray]:
    """Chebyshev coefficients (panels, degree + 1) of λ and log(-dλ/dγ): both are smoother than α itself."""
    panels = max(1, math.ceil((operator.gamma_max - operator.gamma_min) / _PANEL))
    nodes = chebyshev.chebpts1(_DEGREE + 1)
    u = (np.arange(panels)[:, None] + (nodes + 1.0) / 2.0) / panels
    values = evaluate(operator.gamma_at(u), operator.vocab_size)
    to_coefficients = np.linalg.inv(chebyshev.chebvander(nodes, _DEGREE)).T
    return values.log_snr @ to_coefficients, np.log(-values.log_snr_slope) @ to_coefficients


def _interpolate(coefficients: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The piecewise polynomial at u in [0, 1], any shape."""
    panels = len(coefficients)
    panel = np.minimum((u * panels).astype(np.int64), panels - 1)
    s = 2.0 * (u * panels - panel) - 1.0
    return chebyshev.chebval(s, np.moveaxis(coefficients, -1, 0)[:, panel], tensor=False)


def series(gamma: np.ndarray | float, vocab_size: int, terms: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """α and dα/dγ by the power series of Duo, Chapter II (its code: utils.py), shape of γ each.

    P = e^{-μ²/2} Σ μⁿ m_n with m_n = (1/n!) ∫ zⁿ φ(z) Φ(z)^{K-1} dz. For parity with the published code; the sum needs
    about μ² + 10μ terms, and ``evaluate`` needs no such care. Raises ValueError for fewer than two terms.
    """
    if vocab_size < 2 or terms < 2:
        raise ValueError(f"vocab_size and terms must be at least 2, got {vocab_size} and {terms}")
    reach = math.sqrt(terms) + _REACH
    z = np.arange(-math.ceil(reach), math.ceil(reach), _STEP)
    term = np.exp(_log_normal(z) + (vocab_size - 1) * log_ndtr(z)) * _STEP
    moments = np.empty(terms + 1)
    for n in range(terms + 1):
        moments[n] = term.sum()
        term = term * z / (n + 1)
    mu = np.exp(-np.asarray(gamma, dtype=np.float64) / 2.0)
    n = np.arange(terms)
    power = np.exp(n * np.log(mu)[..., None] - 0.5 * (mu**2)[..., None])
    p = power @ moments[:terms]
    # dP/dμ = e^{-μ²/2} Σ μⁿ (i_n - μ·m_n), where i_n = (1/n!)∫ z^{n+1} φ Φ^{K-1} = (n + 1)·m_{n+1}
    dp_dmu = power @ ((n + 1) * moments[1:]) - mu * p
    ratio = vocab_size / (vocab_size - 1)
    return ratio * (p - 1.0 / vocab_size), ratio * dp_dmu * (-mu / 2.0)
