"""A tiny source for families that mask: 2 symbols, 4 positions, every mask pattern and every conditional enumerated."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from torch import Tensor

from difflaw.families import Family

SYMBOLS, POSITIONS, MASK = 2, 4, 2
VOCABULARY = SYMBOLS + 1
X = np.array(list(product(range(SYMBOLS), repeat=POSITIONS)))  # (16, 4)
MASKED = np.array(list(product([False, True], repeat=POSITIONS)))  # (16, 4)

Known = Callable[[np.ndarray, int], np.ndarray]
"""(masked positions, position to predict) → positions whose tokens the prediction may use."""


def source(seed: int = 1) -> np.ndarray:
    """Probability of each row of X; far from independent positions."""
    weights = np.random.default_rng(seed).gamma(0.4, size=len(X))
    return weights / weights.sum()


def entropy(p: np.ndarray) -> float:
    """Nats per sequence."""
    return float(-(p * np.log(p)).sum())


def conditional_logits(p: np.ndarray, known: Known) -> Tensor:
    """Log p(x_l = · | the known tokens), (X rows, patterns, positions, V)."""
    logits = np.full((len(X), len(MASKED), POSITIONS, VOCABULARY), -60.0)
    for i, j, l in product(range(len(X)), range(len(MASKED)), range(POSITIONS)):
        given = known(MASKED[j], l)
        agree = (X[:, given] == X[i, given]).all(1)
        for symbol in range(SYMBOLS):
            logits[i, j, l, symbol] = np.log(max(p[agree & (X[:, l] == symbol)].sum(), 1e-300))
    return torch.from_numpy(logits)


def expected_integrand(family: Family, p: np.ndarray, logits: Tensor, lam: float, keep: float) -> float:
    """E[bound integrand] at λ, tokens kept with probability ``keep``, nats per sequence."""
    x = torch.from_numpy(np.repeat(X[:, None], len(MASKED), 1))
    z = torch.from_numpy(np.where(MASKED[None], MASK, X[:, None]))
    values = family.bound(logits, x, z, torch.full(x.shape, lam, dtype=torch.float64)).sum(-1).numpy()
    chance = np.where(MASKED, 1 - keep, keep).prod(1)
    return float((values * chance[None] * p[:, None]).sum())


def integrate(value: Callable[[float], float], low: float, high: float, points: int = 60) -> float:
    """∫ value(λ)·p(λ) dλ by Gauss-Legendre in u = σ(λ)."""
    u, w = np.polynomial.legendre.leggauss(points)
    a, b = 1 / (1 + np.exp(-low)), 1 / (1 + np.exp(-high))
    u = (b - a) / 2 * u + (a + b) / 2
    return float(
        sum(weight * value(float(np.log(t) - np.log1p(-t))) for t, weight in zip(u, w, strict=True)) * (b - a) / 2
    )
