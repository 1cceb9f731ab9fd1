"""The two scalar functions under every hybrid bound, written so that nothing cancels.

g(u) = u - log(1+u) builds the Kullback-Leibler part, h(w) = log(1+w) - w/(1+w) the Itakura-Saito part
(2512.10858 §2.1). Both behave like u²/2 near zero, where the textbook forms lose every digit in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SMALL = 0.05  # below it six terms of the series are exact to 1e-7; above it the closed form loses little


def _series(u: Tensor) -> Tensor:
    return u * u * (1 / 2 - u * (1 / 3 - u * (1 / 4 - u * (1 / 5 - u * (1 / 6 - u * (1 / 7))))))


def g_below(y: Tensor, log_rest: Tensor) -> Tensor:
    """g(-y) = -y - log(1-y) for 0 ≤ y < 1, given log(1-y), which the caller knows without cancellation."""
    return torch.where(y < _SMALL, _series(-y.clamp(max=_SMALL)), -y - log_rest)


def h(w: Tensor, log_one_plus_w: Tensor) -> Tensor:
    """log(1+w) - w/(1+w) for w > -1, given log(1+w): ρ - 1 - log ρ for the ratio ρ = 1/(1+w).

    Near zero: Σ_{k≥2} (-1)^k (k-1)/k·w^k.
    """
    small = w.abs() < _SMALL
    v = torch.where(small, w, torch.zeros_like(w))
    series = v * v * (1 / 2 - v * (2 / 3 - v * (3 / 4 - v * (4 / 5 - v * (5 / 6 - v * (6 / 7))))))
    return torch.where(small, series, log_one_plus_w + torch.expm1(-log_one_plus_w))
