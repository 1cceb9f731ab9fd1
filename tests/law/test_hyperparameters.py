"""A planted fit is found from all runs, edge cells included; what a table cannot carry is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from difflaw.errors import InputError
from difflaw.law.hyperparameters import fit_hyperparameters

TRUE = {"c0": -5.0, "c1": 0.8, "d0": -4.5, "d1": 0.35, "kb": 0.012, "kr": 0.02}


def sweep(sd=0.0, seed=0, shift=0.0, c2=0.0, d3=0.0):
    """Sizes x tokens x batches x rates around the optimum, moved by ``shift`` in ln B (cells at the edge)."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in np.geomspace(2e7, 5e8, 4):
        for d in np.geomspace(5e8, 2e10, 4):
            best = TRUE["c0"] + TRUE["c1"] * math.log(d) + c2 * math.log(n / 1e8)
            for b in best + shift + np.array([-1.4, -0.7, 0.0, 0.7]):
                eta = TRUE["d0"] + TRUE["d1"] * b + d3 * math.log(n / 1e8)
                for r in eta + np.array([-0.9, 0.1, 0.8]):
                    loss = 1.9 + 300 * n**-0.32 + 1500 * d**-0.36
                    cost = TRUE["kb"] * (b - best) ** 2 + TRUE["kr"] * (r - eta) ** 2
                    rows.append((n, d, math.exp(b), math.exp(r), loss * math.exp(cost + sd * rng.standard_normal())))
    return np.array(rows).T


def test_planted_laws_without_noise():
    fit = fit_hyperparameters(*sweep())
    assert fit.batch_exponents["tokens"] == pytest.approx(0.8, abs=1e-4)
    assert fit.rate_exponents["batch"] == pytest.approx(0.35, abs=1e-4)
    assert fit.best_batch(1e10) == pytest.approx(math.exp(-5 + 0.8 * math.log(1e10)), rel=1e-3)
    assert fit.k_batch == pytest.approx(0.012, rel=1e-3)
    low, high = fit.flat_batch(1e10)
    assert high / low == pytest.approx(math.exp(2 * math.sqrt(0.0025 / 0.012)), rel=1e-3)
    assert fit.surface[3:] == pytest.approx((0.32, 0.36), abs=1e-3)


def test_edge_cells_do_not_bias():
    """Every sweep lies below its best batch: parabolas per cell would all be thrown away."""
    fit = fit_hyperparameters(*sweep(sd=0.001, shift=-0.9))
    assert fit.batch_exponents["tokens"] == pytest.approx(0.8, abs=0.08)
    assert fit.best_batch(3e9) == pytest.approx(math.exp(-5 + 0.8 * math.log(3e9)), rel=0.25)


def test_intervals_cover():
    hits = []
    for seed in range(30):
        fit = fit_hyperparameters(*sweep(sd=0.003, seed=seed))
        interval = fit.intervals["batch:tokens"]
        hits.append(interval.low <= 0.8 <= interval.high)
    assert np.mean(hits) > 0.83


def test_dependence_on_size_where_asked():
    fit = fit_hyperparameters(*sweep(sd=0.0005, c2=0.3, d3=-0.4), batch_on=("tokens", "params"))
    assert fit.batch_exponents["params"] == pytest.approx(0.3, abs=0.05)
    assert fit.rate_exponents["params"] == pytest.approx(-0.4, abs=0.05)


def test_refusals():
    n, d, b, r, loss = sweep()
    with pytest.raises(InputError, match="batch takes fewer than 3"):
        fit_hyperparameters(n, d, np.full_like(b, 1e5), r, loss)
    with pytest.raises(InputError, match="column lr"):
        fit_hyperparameters(n, d, b, -r, loss)
    with pytest.raises(InputError, match="does not vary"):
        fit_hyperparameters(n, d, 1e-4 * d, r, loss, rate_on=("batch", "tokens"))
    with pytest.raises(InputError, match="rows cannot carry"):
        fit_hyperparameters(
            n[::16], d[::16], b[::16] * np.geomspace(1, 5, 12), r[::16] * np.geomspace(1, 3, 12), loss[::16]
        )
