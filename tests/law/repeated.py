"""A planted data-limited ladder: one family overfits, the other does not and passes it on the smallest texts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from difflaw.law.repeated_data import effective_tokens

SIZES = np.array([6.5e3, 1.44e4, 3.3e4, 8.46e4])
TEXTS = (5e4, 1e5, 2e5)
TOKENS = np.geomspace(1e5, 8e6, 16)
LAWS = {
    "autoregressive": {"E": 2.0, "A": 12.0, "B": 35.0, "life": 8.0, "penalty": 0.02},
    "masked": {"E": 2.28, "A": 13.6, "B": 48.5, "life": 300.0, "penalty": 0.0},
}
"""Both with exponents .3; the penalty rises as (epochs - 1)^1.5·(N/U)^1.2, which is no form of ours."""


def loss(family: str, params, tokens, unique):
    """Nats per token."""
    p = LAWS[family]
    fresh = p["E"] + p["A"] * params**-0.3 + p["B"] * effective_tokens(tokens, unique, p["life"]) ** -0.3
    return fresh + p["penalty"] * np.maximum(tokens / unique - 1, 0.0) ** 1.5 * (params / unique) ** 1.2


def repeated_table(seed: int = 0, noise: float = 0.004, families=tuple(LAWS)) -> pd.DataFrame:
    """One run a size and text, evaluated along its tokens; C = 6·N·D."""
    rng, rows = np.random.default_rng(seed), []
    for family in families:
        for n in SIZES:
            for unique in TEXTS:
                run = noise * rng.standard_normal()
                for d in TOKENS:
                    off = np.exp(0.7 * (run + noise * rng.standard_normal()))
                    row = {"family": family, "run": f"{family}-{n:g}-{unique:g}", "params": n, "tokens": d}
                    row |= {"flops": 6 * n * d, "loss": loss(family, n, d, unique) * off}
                    rows.append(row | {"unique_tokens": unique, "epochs": d / unique})
    return pd.DataFrame(rows)


def best_losses(family: str, unique: float, flops: np.ndarray) -> np.ndarray:
    """The lowest loss within budgets, over the sizes and tokens that were run, by brute force."""
    sizes = np.geomspace(SIZES[0], SIZES[-1], 100)[:, None]
    tokens = np.asarray(flops) / 6 / sizes
    inside = (tokens > 0.999 * TOKENS[0]) & (tokens < 1.001 * TOKENS[-1])
    found = np.where(inside, loss(family, sizes, np.clip(tokens, TOKENS[0], TOKENS[-1]), unique), np.inf)
    return np.minimum.accumulate(found, axis=1).min(0)


def best_loss(family: str, unique: float) -> float:
    """The lowest loss of any run."""
    return float(best_losses(family, unique, budgets())[-1])


def budgets() -> np.ndarray:
    """FLOPs from the smallest run's first evaluation to the largest run's last."""
    return np.geomspace(6 * SIZES[0] * TOKENS[0], 6 * SIZES[-1] * TOKENS[-1], 2000)


def true_crossover(unique: float) -> float:
    """FLOPs from which masked stays below autoregressive; infinite where it never does."""
    c = budgets()
    above = best_losses("masked", unique, c) > best_losses("autoregressive", unique, c)
    return float("inf") if above[-1] else float(c[np.flatnonzero(above)[-1]])
