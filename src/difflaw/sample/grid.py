"""Which log-SNR each step of a sampler goes to."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from difflaw.errors import InputError
from difflaw.noise.clock import LogSnrRange, sigmoid

Schedule = Literal["cosine", "linear"]


def grid(steps: int, schedule: Schedule, span: LogSnrRange) -> np.ndarray:
    """λ of the T + 1 ends of T steps, rising from ``span.low`` to ``span.high``, float64.

    With i/T the share of the steps done, α = σ(low) + (σ(high) - σ(low))·f and f = i/T (linear) or
    (1 - cos(π·i/T))/2 (cosine, small steps at both ends): 2512.10858; its code, modeling_gidd_hf.py.
    """
    if isinstance(steps, bool) or int(steps) != steps or steps < 1:
        raise InputError(f"steps: must be a whole number of at least 1, got {steps}")
    if schedule not in get_args(Schedule):
        raise InputError(f"schedule: {schedule!r} is unknown, use {' or '.join(get_args(Schedule))}")
    done = np.arange(int(steps) + 1) / int(steps)
    share = done if schedule == "linear" else 0.5 - 0.5 * np.cos(np.pi * done)
    alpha = sigmoid(span.low) + (sigmoid(span.high) - sigmoid(span.low)) * share
    return np.clip(np.log(alpha) - np.log1p(-alpha), span.low, span.high)


def to_clean(steps: int, schedule: Schedule, span: LogSnrRange) -> list[tuple[float, float]]:
    """Steps (λ_t, λ_s) of `grid`, of which the last goes to λ = ∞: no noise is left at the end, at no extra pass."""
    ends = [float(lam) for lam in grid(steps, schedule, span)]
    ends[-1] = float("inf")
    return list(pairwise(ends))
