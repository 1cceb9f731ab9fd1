"""What is read off draws: best sizes against a fine search, a table's own FLOPs per token, laws.json."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from difflaw.law.posterior.fit import columns, fit_posterior
from difflaw.law.posterior.posterior import Posterior, first_lowest
from difflaw.law.records import plain, read_record
from tests.law.conftest import ladder, loss

HEAD = 6e8
"""FLOPs per token that do not grow with the size."""


@pytest.mark.parametrize("flops", [1e16, 1e19, 1e21])
def test_best_against_a_fine_search(planted, flops):
    sizes = np.geomspace(1e5, 1e13, 20_001)
    values = planted.with_draws(np.arange(20)).ln_loss(sizes, flops / 6 / sizes)
    found = planted.with_draws(np.arange(20)).best(flops)
    assert np.allclose(found.ln_params, np.log(sizes[values.argmin(1)]), atol=0.01)
    assert np.allclose(found.ln_loss, values.min(1), atol=1e-5)
    assert np.allclose(found.ln_flops_per_token, np.log(6) + found.ln_params, atol=1e-3)
    assert np.allclose(found.ln_tokens + found.ln_flops_per_token, np.log(flops))


@pytest.fixture(scope="module")
def with_head():
    """Runs on budgets counted as C = (6N + HEAD)·D, without noise to speak of."""
    frame = ladder(0, sizes=9)
    n = frame.params.to_numpy()
    d = frame.budget.to_numpy() / (6 * n + HEAD)
    y = loss(n, d) * np.exp(1e-4 * np.random.default_rng(0).standard_normal(len(n)))
    return fit_posterior(columns(n, d, y, flops=(6 * n + HEAD) * d), forms=("additive",))


@pytest.mark.parametrize("flops", [1e17, 1e19, 1e20])
def test_flops_with_a_constant_part(with_head, flops):
    best = minimize_scalar(
        lambda x: loss(np.exp(x), flops / (6 * np.exp(x) + HEAD)), bounds=(14, 24), method="bounded"
    ).x
    found = with_head.best(flops)
    low, high = np.quantile(found.ln_params, [0.005, 0.995])
    assert abs(np.median(found.ln_params) - best) < 0.06
    assert low - 0.03 < best < high + 0.03
    assert np.median(found.ln_loss) == pytest.approx(
        np.log(loss(np.exp(best), flops / (6 * np.exp(best) + HEAD))), abs=2e-4
    )


def test_flops_per_token_and_back(with_head):
    sizes = np.log(np.geomspace(5e6, 2e9, 30))
    per_token = with_head.flops_per_token(sizes)
    inner = (sizes > np.log(with_head.params_range[0])) & (sizes < np.log(with_head.params_range[1]))
    assert np.allclose(per_token[inner], np.log(6 * np.exp(sizes[inner]) + HEAD), atol=0.02)
    assert np.all(np.diff(per_token) > 0)
    assert np.allclose(with_head.params_of(per_token), sizes, atol=1e-3)


def test_a_file_keeps_every_bit(planted):
    again = read_record(Posterior, plain(planted))
    assert np.array_equal(again.theta, planted.theta)
    assert np.array_equal(again.ln_noise, planted.ln_noise)
    assert np.array_equal(again.sizes, planted.sizes)
    assert plain(again) == plain(planted)


def test_first_lowest():
    values = np.array([[5.0, 3, 4, 2, 1], [5, 4, 3, 2, 1], [1, 2, 3, 4, 5], [4, 3, 2, 5, 0]])
    assert first_lowest(values).tolist() == [1, 3, 1, 2]


def test_different_tokens_count_only_where_rows_repeat(planted):
    n, d = np.array([1e8]), np.array([1e10])
    assert np.array_equal(planted.ln_loss(n, d, np.array([1e9])), planted.ln_loss(n, d))
