"""Planted repeats: half-lives recovered where epochs reach them, bounded from one side where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from difflaw.errors import InputError
from difflaw.law.repeated_data import effective_tokens, fit_data_limited

E, A, B, X = 1.869, 520.8, 1487.7, 0.35266


def ladder(half_life, most=128, sd=0.0, seed=0, penalty=0.0):
    rng = np.random.default_rng(seed)
    rows = []
    for n in np.geomspace(2e7, 1e9, 4):
        for u in (1e8, 4e8, 1.6e9):
            for epochs in 2.0 ** np.arange(0, np.log2(most) + 0.1):
                d = u * epochs
                loss = E + A * n**-X + B * effective_tokens(np.array([d]), np.array([u]), half_life)[0] ** -X
                loss += penalty * (epochs - 1) ** 1.2 * (n / u) ** 0.5
                rows.append((n, d, u, loss * np.exp(sd * rng.standard_normal())))
    return np.array(rows).T


def test_half_life_without_noise():
    law = fit_data_limited(*ladder(15.39))
    assert law.half_life == pytest.approx(15.39, rel=1e-3)
    assert (law.alpha, law.beta) == pytest.approx((X, X), abs=1e-3)
    n, d, u = 1e8, 3e9, 4e8
    assert law(n, d, u) == pytest.approx(
        E + A * n**-X + B * effective_tokens(np.array([d]), np.array([u]), 15.39)[0] ** -X, rel=1e-5
    )


@pytest.mark.parametrize(("truth", "widest"), [(15.39, 1.25), (500.0, 4.0)])
def test_both_truths_lie_inside_their_intervals(truth, widest):
    """AR-like 15.39 and diffusion-like 500 on a 128-epoch ladder."""
    law = fit_data_limited(*ladder(truth, sd=0.002, seed=3))
    interval = law.half_life_interval
    assert interval.low < truth < interval.high
    assert interval.high / interval.low < widest
    assert law.half_life_at_least <= law.half_life


def test_few_epochs_give_a_bound_and_no_number():
    law = fit_data_limited(*ladder(500.0, most=8, sd=0.003))
    assert law.half_life is None
    assert law.half_life_interval is None
    assert 1 < law.half_life_at_least < 500
    assert any("larger than" in w for w in law.warnings)


def test_overfitting_is_seen_and_modelled():
    n, d, u, loss = ladder(15.39, penalty=2e-3, sd=0.001)
    saturating = fit_data_limited(n, d, u, loss)
    assert any("rises with epochs" in w for w in saturating.warnings)
    overfitted = fit_data_limited(n, d, u, loss, form="overfitting")
    assert overfitted.rmse_log < 0.3 * saturating.rmse_log
    assert overfitted.penalty[1] == pytest.approx(1.2, abs=0.15)
    assert 1 < overfitted.best_epochs(1e9, 1e8) < 128
    assert saturating.best_epochs(1e9, 1e8) == pytest.approx(1e4)


def test_refusals():
    n, d, u, loss = ladder(15.39)
    with pytest.raises(InputError, match="no run repeats"):
        fit_data_limited(n, d, d, loss)
    with pytest.raises(InputError, match="rows cannot carry"):
        fit_data_limited(n[:8], d[:8], u[:8], loss[:8])
    with pytest.raises(InputError, match="column unique"):
        fit_data_limited(n, d, -u, loss)
    with pytest.raises(InputError, match="choose saturating"):
        fit_data_limited(n, d, u, loss, form="other")
