"""A table of the kind of Step Law's: cells of size and tokens, each a wide grid of batch and rate, with lost runs."""

from __future__ import annotations

import math

import numpy as np

BATCH = {"tokens": 0.571, "params": 0.0}
RATE = {"params": -0.713, "tokens": 0.307}
"""Exponents of B = .58 D^.571 and eta = 1.79 N^-.713 D^.307 (Li et al. 2025, 2503.04715)."""


def step_law_table(
    seed: int = 0,
    noise: float = 0.002,
    scatter: float = 0.0,
    tilt: float = 0.0,
    cubic: float = 0.012,
    curvature: float = 0.0,
) -> np.ndarray:
    """(params, tokens, batch, rate, loss), shape (5, about 2,600): 17 cells, up to 15 batches by 14 rates.

    The rates of every sixth cell end below its optimum, its batches begin above it, or its rates begin above it; runs
    of too high a rate have diverged.

    Args:
        seed: of the noise.
        noise: standard deviation of ln L.
        scatter: of the cells' optima about their law, in logarithms.
        tilt: exponent of the best rate in the batch, at given size and tokens.
        cubic: of the rise to high rates, ln L per cubed logarithm.
        curvature: exponent of k_eta in tokens.
    """
    rng, rows = np.random.default_rng(seed), []
    sizes, horizons = np.geomspace(6e7, 1e9, 5), np.geomspace(2e9, 1e11, 5)
    cells = [(n, d) for i, n in enumerate(sizes) for j, d in enumerate(horizons) if abs(i - j) <= 2][:17]
    for i, (n, d) in enumerate(cells):
        best_batch = math.log(0.58) + BATCH["tokens"] * math.log(d) + scatter * rng.standard_normal()
        best_rate = math.log(1.79) + RATE["params"] * math.log(n) + RATE["tokens"] * math.log(d)
        best_rate += scatter * rng.standard_normal()
        batches, rates = math.log(2) * np.arange(15, 22.1, 0.5), math.log(1e-4) + math.log(2) / 2 * np.arange(14)
        rates = rates[rates < best_rate - 0.2] if i % 6 == 1 else rates
        batches = batches[batches > best_batch + 0.1] if i % 6 == 4 else batches
        rates = rates[rates > best_rate + 0.3] if i % 6 == 5 else rates
        u = np.repeat(batches, len(rates)) - best_batch
        v = np.tile(rates, len(batches)) - best_rate - tilt * u
        k_rate = 0.02 * (d / 1.4e10) ** curvature
        cost = 0.012 * u**2 + 0.002 * abs(u) ** 3 + k_rate * v**2 + np.where(v > 0, cubic, 0.3 * cubic) * abs(v) ** 3
        loss = math.log(1.7 + 400 * n**-0.34 + 1200 * d**-0.36) + cost + noise * rng.standard_normal(len(u))
        lost = v > 1.8 + 0.2 * rng.standard_normal(len(u))
        loss = np.where(lost, math.log(6.5) + 0.15 * rng.standard_normal(len(u)), loss)
        same = np.ones(len(u))
        rows.append([n * same, d * same, np.exp(u + best_batch), np.exp(np.tile(rates, len(batches))), np.exp(loss)])
    return np.concatenate(rows, axis=1)
