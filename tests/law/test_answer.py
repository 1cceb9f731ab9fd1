"""The one answer of a family: planted exponents and sizes come back, and parts that nobody can know are null."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import difflaw
from difflaw.law.answer import VAGUE, answer, at_best, loss_estimate
from difflaw.law.posterior.fit import columns, fit_posterior
from tests.law.conftest import ALPHA, BETA, best_size, ladder, loss

X = BETA / (ALPHA + BETA)
TOP = 1e19


def within(part, truth):
    assert part.low < part.estimate < part.high
    assert part.low < truth < part.high


@pytest.fixture(scope="module")
def laws():
    return difflaw.fit(ladder(3, sd=0.002), flops_convention="6N")


def test_exponents_sizes_and_losses_of_a_planted_law(laws):
    found = laws.families["masked"].answer
    assert found.source == "surface"
    within(found.params_exponent, X)
    within(found.tokens_exponent, 1 - X)
    c = np.geomspace(1e17, TOP, 9)
    lowest = np.log(loss(best_size(c), c / 6 / best_size(c)))
    within(found.loss_exponent, np.polyfit(np.log(c), lowest, 1)[0])
    for at, flops in ((found.largest, TOP), (found.ten_times, 10 * TOP)):
        n = best_size(flops)
        assert at.flops == pytest.approx(flops)
        within(at.params, n)
        within(at.tokens, flops / 6 / n)
        assert at.loss.law[0] < loss(n, flops / 6 / n) < at.loss.law[1]
        assert at.loss.run[0] < at.loss.law[0] < at.loss.estimate < at.loss.law[1] < at.loss.run[1]
    assert found.minima == 5
    assert "E + A/N^alpha + B/D^beta" in found.reason
    assert "the minima alone say" in found.reason


def test_exponents_of_size_and_tokens_sum_to_one(laws):
    found = laws.families["masked"].answer
    assert found.params_exponent.estimate + found.tokens_exponent.estimate == pytest.approx(1, abs=1e-3)


def test_the_level_is_that_of_the_intervals():
    post = fit_posterior(columns(*(ladder(3, sd=0.002)[c] for c in ("params", "tokens", "loss"))), forms=("additive",))
    best = post.best(TOP)
    for level in (0.5, 0.9, 0.95):
        found = at_best(post, post.best(TOP), level)
        for part, draws in ((found.params, best.ln_params), (found.tokens, best.ln_tokens)):
            inside = (draws > np.log(part.low)) & (draws < np.log(part.high))
            assert np.mean(inside) == pytest.approx(level, abs=0.005)
            assert np.mean(draws < np.log(part.estimate)) == pytest.approx(0.5, abs=0.005)


def test_a_new_run_scatters_about_the_law():
    """Law N(0, .003²) and run noise .004 give a run N(0, .005²)."""
    draws = 0.003 * np.random.default_rng(0).standard_normal(4000)
    found = loss_estimate(draws, np.full(4000, 0.004))
    assert np.log(found.law) == pytest.approx([-0.00588, 0.00588], abs=3e-4)
    assert np.log(found.run) == pytest.approx([-0.0098, 0.0098], abs=3e-4)


def test_intervals_hold_as_often_as_they_say():
    """Twelve tables, thirty new runs of each: 95 % of the runs and of the true losses lie inside."""
    law, run = [], []
    for seed in range(12):
        frame = ladder(seed, sd=0.002)
        post = fit_posterior(columns(frame.params, frame.tokens, frame.loss), forms=("additive",))
        rng = np.random.default_rng(100 + seed)
        n = best_size(1e18) * np.exp(rng.uniform(-1, 1, 30))
        true = loss(n, 1e18 / 6 / n)
        for draws, y in zip(post.ln_loss(n, 1e18 / 6 / n).T, true, strict=True):
            found = loss_estimate(draws, post.noise())
            law.append(found.law[0] < y < found.law[1])
            run.append(found.run[0] < y * np.exp(0.002 * rng.standard_normal()) < found.run[1])
    assert 0.85 < np.mean(law) < 0.995  # a table's thirty go together, so this share is of few
    assert 0.9 < np.mean(run) < 0.985


def test_all_minima_outside_the_sizes_run():
    """Sizes twelve times too large throughout: no minimum is counted, and the surface answers with a wider interval."""
    inside, outside = (difflaw.fit(ladder(0, sd=0.004, shift=s, sizes=5)).families["masked"] for s in (1.0, 12.0))
    found = outside.answer
    assert found.minima == 0
    assert found.source == "surface"
    assert outside.params_law is None
    assert "minima" not in found.reason
    within(found.largest.params, best_size(TOP))
    spans = [f.answer.largest.params.high / f.answer.largest.params.low for f in (outside, inside)]
    assert np.log(spans[0]) > 1.5 * np.log(spans[1])


def test_a_best_size_that_nobody_knows_is_null():
    """Noise of 3 % on sizes far to one side."""
    rng = np.random.default_rng(1)
    n, c = (v.ravel() for v in np.meshgrid(np.geomspace(2e9, 5e9, 4), np.geomspace(3e17, 3e18, 4)))
    d = c / 6 / n
    post = fit_posterior(columns(n, d, loss(n, d) * np.exp(0.03 * rng.standard_normal(16))))
    found = answer(post, None, None, None)
    size = np.quantile(np.exp(post.best(post.budgets[1]).ln_params), [0.025, 0.975])
    assert size[1] > VAGUE * size[0] or post.with_minimum < 0.8
    assert found.largest.params is None
    assert found.largest.tokens is None
    assert found.params_exponent is None
    assert found.largest.loss is not None
    assert "no best size is stated" in found.reason


def test_a_single_ray_of_sizes():
    """20 tokens per parameter throughout carry no law: nothing is answered, and the reason says what to run."""
    n = np.geomspace(1e7, 1e9, 9)
    frame = pd.DataFrame({"family": "masked", "params": n, "tokens": 20 * n, "loss": loss(n, 20 * n)})
    frame = pd.concat([frame.assign(flops=120 * n * n), ladder(0, family="uniform")])
    laws = difflaw.fit(frame)
    found = laws.families["masked"].answer
    assert found.source == "nothing"
    assert found.largest is found.ten_times is found.params_exponent is None
    assert "tokens" in found.reason
    assert laws.families["uniform"].answer.source == "surface"


def test_a_family_of_three_rows_beside_another():
    small = ladder(1, sizes=3, budgets=(1e18,), family="uniform")
    laws = difflaw.fit(pd.concat([ladder(0, sd=0.002), small]))
    assert laws.families["masked"].answer.source == "surface"
    found = laws.families["uniform"].answer
    assert found.source == "nothing"
    assert found.largest is None
    assert found.reason
    assert not laws.standings


def test_minima_alone_where_no_surface_can_be_drawn():
    """Kaplan's form is fitted on request but not averaged: the answer is that of the profiles."""
    laws = difflaw.fit(ladder(0, sd=0.001), form="kaplan")
    family = laws.families["masked"]
    found = family.answer
    assert found.source == "minima"
    assert found.params_exponent.estimate == family.params_law.exponent
    assert found.largest.params.estimate == pytest.approx(family.params_law(TOP))
    within(found.ten_times.params, best_size(10 * TOP))
    assert "Kaplan" in found.reason


def test_an_exponent_that_changes_is_said():
    """FLOPs with a constant head: the best size grows faster at first."""
    rows = []
    for c in np.geomspace(1e17, 1e20, 7):
        grid = np.geomspace(2e6, 3e9, 4000)
        best = grid[np.argmin(loss(grid, c / (6 * grid + 6e8)))]
        for n in best * 1.6 ** np.arange(-3.0, 4):
            d = c / (6 * n + 6e8)
            rows.append({"family": "masked", "params": n, "tokens": d, "flops": c, "loss": loss(n, d)})
    frame = pd.DataFrame(rows)
    frame["loss"] *= np.exp(5e-4 * np.random.default_rng(0).standard_normal(len(frame)))
    found = difflaw.fit(frame).families["masked"].answer
    assert "the size exponent is not constant" in found.reason
