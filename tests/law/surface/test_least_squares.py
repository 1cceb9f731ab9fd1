"""Many fits at once: against SciPy, independent of chunks, threads and neighbours, and inside bounds."""

import math

import numpy as np
import pytest

from difflaw.law.surface.forms import log_loss, make_form
from difflaw.law.surface.least_squares import huber_rows, solve
from difflaw.law.surface.starts import grid_starts


@pytest.fixture
def planted():
    rng = np.random.default_rng(3)
    x, z = rng.uniform(-2, 2, 40), rng.uniform(-3, 3, 40)
    theta = np.array([-0.9, -1.1, 0.6, 0.31, 0.38])
    y = log_loss(make_form(), theta[None], x, z)[0] + 0.004 * rng.standard_t(3, 40)
    return x, z, y, theta


@pytest.mark.parametrize("delta", [1e-3, 0.004, math.inf])
def test_agrees_with_scipy(planted, delta):
    from scipy.optimize import least_squares

    x, z, y, theta = planted
    form = make_form()
    ours = solve(form, x, z, y, theta[None], delta, tolerance=1e-13)
    kind = {"loss": "linear"} if math.isinf(delta) else {"loss": "huber", "f_scale": delta}

    def residual(t):
        return log_loss(form, t[None], x, z)[0] - y

    theirs = least_squares(residual, theta, xtol=1e-14, ftol=1e-14, gtol=1e-14, **kind)
    assert ours.settled.all()
    assert ours.objective[0] <= theirs.cost * (1 + 1e-7)
    np.testing.assert_allclose(ours.theta[0, 3:], theirs.x[3:], atol=2e-4)


def test_a_fit_does_not_feel_its_neighbours_or_the_threads(planted):
    x, z, y, theta = planted
    form, rng = make_form(), np.random.default_rng(0)
    weights = rng.multinomial(40, np.full(40, 1 / 40), 600).astype(float)
    starts = np.repeat(theta[None], 600, 0)
    together = solve(form, x, z, y, starts, 1e-3, weights, workers=2)
    single = solve(form, x, z, y, starts, 1e-3, weights, workers=1)
    np.testing.assert_array_equal(together.theta, single.theta)
    alone = solve(form, x, z, y, starts[:1], 1e-3, weights[417:418])
    np.testing.assert_allclose(alone.theta[0], together.theta[417], rtol=1e-9)


def test_weights_count_rows(planted):
    x, z, y, theta = planted
    twice = solve(make_form(), x, z, y, theta[None], 1e-3, np.r_[2.0, np.ones(38), 0.0], tolerance=1e-13)
    index = np.r_[0, 0, 1:39]
    rows = solve(make_form(), x[index], z[index], y[index], theta[None], 1e-3, tolerance=1e-13)
    np.testing.assert_allclose(twice.theta, rows.theta, atol=1e-6)


def test_own_rows_and_deltas_per_fit(planted):
    x, z, y, theta = planted
    both = solve(make_form(), x, z, np.stack([y, y + 0.1]), np.stack([theta, theta]), np.array([1e-3, 5e-3]))
    for i, (own, delta) in enumerate(((y, 1e-3), (y + 0.1, 5e-3))):
        np.testing.assert_allclose(both.theta[i], solve(make_form(), x, z, own, theta[None], delta).theta[0], atol=1e-5)


@pytest.mark.parametrize(("name", "entropy"), [("at-most", 1.6), ("at-least", 2.0)])
def test_a_bound_that_binds_is_the_fixed_fit(planted, name, entropy):
    x, z, y, theta = planted  # its floor is 1.82
    bounded = solve(make_form(name, entropy), x, z, y, theta[None], 1e-3, tolerance=1e-13)
    fixed = solve(make_form("fixed", entropy), x, z, y, np.delete(theta, 2)[None], 1e-3, tolerance=1e-13)
    assert bounded.theta[0, 2] == pytest.approx(math.log(entropy), abs=1e-12)
    assert bounded.objective[0] == pytest.approx(fixed.objective[0], rel=1e-8)


def test_starts_are_near_and_apart(planted):
    x, z, y, theta = planted
    starts = grid_starts(make_form(), x, z, y)
    assert len(starts) == 4
    assert np.abs(starts[0, 3:] / theta[3:] - 1).max() < 0.25
    cells = np.log(starts[:, 3:]) / np.log(1.5 / 0.03) * 38
    assert min(np.abs(cells[i] - cells[j]).max() for i in range(4) for j in range(i)) > 2.9


@pytest.mark.parametrize("name", ["zero", "tied", "kaplan"])
def test_every_form_starts_and_is_recovered(name):
    rng = np.random.default_rng(1)
    x, z = rng.uniform(-2, 2, 40), rng.uniform(-3, 3, 40)
    theta = np.array(
        {"zero": [0.4, -0.2, 0.1, 0.3], "tied": [-0.9, -1.1, 0.6, 0.35], "kaplan": [7.7, 7.5, 0.09, 0.11]}[name]
    )
    form = make_form(name)
    y = log_loss(form, theta[None], x, z)[0]
    found = solve(form, x, z, y, grid_starts(form, x, z, y), tolerance=1e-13)
    np.testing.assert_allclose(found.theta[np.argmin(found.objective)], theta, rtol=1e-6)


def test_huber_infinite_is_squares():
    np.testing.assert_allclose(huber_rows(np.array([0.5, -3.0]), math.inf), [0.125, 4.5])
