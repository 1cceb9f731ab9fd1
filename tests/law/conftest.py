"""Planted ladders with a known law, and the folder of published runs beside the checkout."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

E, A, B, ALPHA, BETA = 1.8, 480.0, 2100.0, 0.35, 0.37


def loss(n, d):
    return E + A * n**-ALPHA + B * d**-BETA


def best_size(c):
    return (ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA)) * (c / 6) ** (BETA / (ALPHA + BETA))


def ladder(
    seed=0, budgets=(1e17, 3e17, 1e18, 3e18, 1e19), sizes=7, step=1.6, sd=0.0, shift=1.0, fixed=None, family="masked"
):
    """One run a cell on isoFLOP slices centred on the optimum (times ``shift``), or on ``fixed`` sizes."""
    rng = np.random.default_rng(seed)
    rows = []
    for c in budgets:
        grid = shift * best_size(c) * step ** (np.arange(sizes) - (sizes - 1) / 2) if fixed is None else fixed
        for n in grid:
            d = c / 6 / n
            noisy = loss(n, d) * np.exp(sd * rng.standard_normal())
            rows.append({"family": family, "params": n, "tokens": d, "flops": c, "loss": noisy, "budget": c})
    return pd.DataFrame(rows)


def curves(budgets=(1e17, 3e17, 1e18), sizes=(5e6, 1e7, 2e7, 4e7, 8e7, 1.6e8, 3.2e8), per_budget=6, family="masked"):
    """One long run a size, evaluated many times along its tokens, without noise."""
    flops = np.geomspace(budgets[0] / 30, budgets[-1], per_budget * 12 + 1)
    rows = [
        {
            "family": family,
            "run": f"{family}-{n:.0f}",
            "params": n,
            "tokens": c / 6 / n,
            "flops": c,
            "loss": loss(n, c / 6 / n),
        }
        for n in sizes
        for c in flops
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def truth():
    return SimpleNamespace(
        E=E,
        A=A,
        B=B,
        alpha=ALPHA,
        beta=BETA,
        a=BETA / (ALPHA + BETA),
        loss=loss,
        best_size=best_size,
        ladder=ladder,
        curves=curves,
    )
