"""Planted laws come back inside their intervals: forms, noise, failed runs, copies, known entropy."""

from __future__ import annotations

import numpy as np
import pytest

from difflaw.law.posterior.fit import MOST_ROWS, columns, fit_posterior
from tests.law.conftest import ALPHA, BETA, best_size, ladder, loss
from tests.law.posterior.conftest import NOISE, additive, interacting, interaction, true_loss

TOP = 1e19


def inside(values, truth, level=0.99):
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return low < truth < high


def exponent(post):
    one, ten = post.best(TOP / 10), post.best(TOP)
    return (ten.ln_params - one.ln_params) / np.log(10)


def width(values):
    return float(np.ptp(np.quantile(values, [0.025, 0.975])))


def test_additive_truth(planted):
    assert planted.forms["additive"] > 0.9
    assert sum(planted.forms.values()) == pytest.approx(1)
    assert inside(exponent(planted), BETA / (ALPHA + BETA))
    later = planted.best(10 * TOP)
    assert inside(later.ln_params, np.log(best_size(10 * TOP)))
    assert inside(later.ln_loss, np.log(true_loss(10 * TOP)))
    assert width(exponent(planted)) < 0.1
    assert np.median(planted.noise()) == pytest.approx(NOISE, rel=0.4)
    assert (planted.rows, planted.runs) == (35, 35)
    assert planted.budgets == pytest.approx((1e17, 1e19))
    assert not planted.suspects


def test_interaction_truth():
    """The averaged law sees it, and forecasts runs far out better than the additive form does."""
    rows = columns(*interaction())
    both, alone = fit_posterior(rows), fit_posterior(rows, forms=("additive",))
    assert both.forms["interaction"] > 0.9
    n, d = (v.ravel() for v in np.meshgrid([1e9, 3e9, 1e10], [4e10, 1e11, 2e11]))
    truth = np.log(interacting(n, d))
    ours, other = (np.sqrt(np.mean((np.median(p.ln_loss(n, d), axis=0) - truth) ** 2)) for p in (both, alone))
    assert ours < 0.5 * other
    assert ours < 0.01
    assert np.median(both.noise()) == pytest.approx(NOISE, rel=0.4)


def test_the_order_of_rows_does_not_matter(planted):
    n, d, y = additive()
    mixed = np.random.default_rng(1).permutation(len(n))
    names = np.array([f"row {i + 1}" for i in range(len(n))])
    again = fit_posterior(columns(n[mixed], d[mixed], y[mixed], runs=names[mixed]))
    assert np.array_equal(again.theta, planted.theta)
    assert np.array_equal(again.ln_noise, planted.ln_noise)


def test_same_seed_same_draws_and_another_seed_others(planted):
    again, other = (fit_posterior(columns(*additive()), seed=s) for s in (0, 1))
    assert np.array_equal(again.theta, planted.theta)
    assert not np.array_equal(other.theta, planted.theta)
    for a, b in ((exponent(planted), exponent(other)), (planted.ln_noise, other.ln_noise)):
        assert abs(np.median(a) - np.median(b)) < 0.3 * a.std()


def test_failed_runs_are_named_and_left_aside():
    """Ten of 75 runs came out 10 % too high."""
    frame = ladder(0, sizes=15, step=1.3, sd=NOISE)
    n, d, y = (frame[c].to_numpy().copy() for c in ("params", "tokens", "loss"))
    clean = fit_posterior(columns(n, d, y))
    odd = np.random.default_rng(2).choice(len(n), 10, replace=False)
    y[odd] *= 1.1
    names = np.array([f"run-{i}" for i in range(len(n))])
    spoilt = fit_posterior(columns(n, d, y, runs=names))
    assert {s.run for s in spoilt.suspects} == set(names[odd])
    assert all(s.off == pytest.approx(0.1, abs=0.02) and s.sound < 0.5 for s in spoilt.suspects)
    before, after = (p.best(10 * TOP).ln_params for p in (clean, spoilt))
    assert abs(np.median(after) - np.median(before)) < 3 * before.std()
    assert inside(after, np.log(best_size(10 * TOP)))


def test_copies_of_a_run_tell_little_more(planted):
    n, d, y = (np.repeat(v, 5) for v in additive())
    names = np.repeat([f"row {i}" for i in range(35)], 5)
    copied = fit_posterior(columns(n, d, y, runs=names))
    assert (copied.rows, copied.runs) == (175, 35)
    assert copied.independent == pytest.approx(35, rel=0.1)
    for of in (exponent, lambda p: p.best(10 * TOP).ln_loss):
        assert width(of(copied)) > 2 / 3 * width(of(planted))


def test_an_error_shared_by_a_size_widens():
    """Seven sizes run at five budgets, each size with its own error of 1 %; a known entropy holds all the same."""
    frame = ladder(0, sd=0.0005, fixed=np.geomspace(2e7, 4e8, 7))
    n, d = frame.params.to_numpy(), frame.tokens.to_numpy()
    shared = 0.01 * np.random.default_rng(5).standard_normal(7)
    rows = columns(n, d, frame.loss.to_numpy() * np.exp(np.tile(shared, 5)))
    post = fit_posterior(rows, forms=("additive",))
    assert post.independent < 15
    least = float(np.exp(np.quantile(post.theta[:, 2], 0.4)))
    bound = fit_posterior(rows, forms=("additive",), entropy=least)
    assert np.exp(bound.theta[:, 2]).min() >= least * (1 - 1e-6)
    assert inside(post.best(10 * TOP).ln_params, np.log(best_size(10 * TOP)))


@pytest.mark.parametrize("quantile", [0.05, 0.6, 0.98])
def test_the_floor_is_not_below_the_known_entropy(quantile):
    """The draws are those of the free law that lie above it, whether it cuts little or nearly all."""
    rows = columns(*additive())
    free = fit_posterior(rows, forms=("additive",), draws=20_000)
    floor = np.exp(free.theta[:, 2])
    least = float(np.quantile(floor, quantile))
    bound = fit_posterior(rows, forms=("additive",), entropy=least)
    kept = free.with_draws(np.flatnonzero(floor > least))
    assert np.exp(bound.theta[:, 2]).min() >= least * (1 - 1e-6)
    for of in (lambda p: p.theta[:, 2], lambda p: p.best(TOP).ln_params, lambda p: p.best(10 * TOP).ln_loss):
        ours, theirs = of(bound), of(kept)
        assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=0.25 * theirs.std())
        assert ours.std() == pytest.approx(theirs.std(), rel=0.25)


def test_an_entropy_above_every_draw():
    """The law then bends as far as it must, and its floor lies on it."""
    bound = fit_posterior(columns(*additive()), entropy=2.3)
    assert np.exp(bound.theta[:, 2]).min() >= 2.3 * (1 - 1e-6)
    assert np.median(np.exp(bound.theta[:, 2])) < 2.33
    assert bound.effective_draws > 100


def test_more_rows_than_are_used():
    rng = np.random.default_rng(0)
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e9, 30), np.geomspace(3e8, 3e10, 100)))
    assert len(n) > MOST_ROWS
    post = fit_posterior(columns(n, d, loss(n, d) * np.exp(NOISE * rng.standard_normal(len(n)))), forms=("additive",))
    assert post.rows == len(n)
    assert post.runs == len(n)
    flops = post.budgets[1]
    assert inside(post.best(flops).ln_params, np.log(best_size(flops)), 0.999)
    assert np.median(post.noise()) == pytest.approx(NOISE, rel=0.1)


def test_noise_that_grows_is_seen():
    """Runs far from the lowest loss scatter ten times as much."""
    rng = np.random.default_rng(3)
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e9, 12), np.geomspace(3e8, 3e10, 10)))
    true = np.log(loss(n, d))
    sd = 0.001 * np.exp(4 * (true - true.min()))
    post = fit_posterior(columns(n, d, np.exp(true + sd * rng.standard_normal(len(n)))), forms=("additive",))
    assert post.growth == pytest.approx(4, rel=0.25)
    assert np.median(post.noise()) == pytest.approx(0.001, rel=0.4)


def test_repeated_data_are_fitted_with_the_rest():
    """Half-life 15.4 of Muennighoff et al. planted up to 64 epochs: losses of other epochs come back."""
    rng = np.random.default_rng(0)
    n, u, epochs = (v.ravel() for v in np.meshgrid(np.geomspace(2e7, 1e9, 4), [1e8, 4e8, 1.6e9], 2.0 ** np.arange(7)))

    def true(n, u, epochs, life=15.4):
        return loss(n, u * (1 + life * (1 - np.exp(-(epochs - 1) / life))))

    y = true(n, u, epochs) * np.exp(NOISE * rng.standard_normal(len(n)))
    post = fit_posterior(columns(n, u * epochs, y, unique=u), forms=("additive",))
    assert post.repeated
    new = np.array([1e8, 5e8]), np.array([2e8, 8e8]), np.array([24.0, 40.0])
    found = post.ln_loss(new[0], new[1] * new[2], new[1])
    for draws, expected in zip(found.T, np.log(true(*new)), strict=True):
        assert inside(draws, expected)
        assert abs(np.median(draws) - expected) < 0.005
