"""Modes against scipy's own maximiser, and the curvature there against differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from difflaw.law.posterior.likelihood import Rows
from difflaw.law.posterior.model import where
from difflaw.law.posterior.modes import Problem, find_modes
from difflaw.law.posterior.prior import prior_of
from tests.law.conftest import ALPHA, BETA
from tests.law.posterior.conftest import NOISE, additive, interaction


def problem(rows, form="additive", shared=None):
    n, d, loss = rows
    y = np.log(loss)
    at = where(n, d, (float(np.log(n).mean()), float(np.log(d).mean()), 0.0))
    prior = prior_of(float(y.mean()), interaction=form == "interaction", repeated=False, shared=shared)
    return Problem(Rows(at, y, y - y.min(), np.ones(len(y))), prior)


@pytest.mark.parametrize(("rows", "form"), [(additive, "additive"), (interaction, "interaction")])
def test_no_maximiser_gets_higher(rows, form):
    own = problem(rows(), form)
    modes = find_modes(own)
    assert [m.density for m in modes] == sorted((m.density for m in modes), reverse=True)
    best = modes[0]
    assert own.density(best.place[None])[0] == pytest.approx(best.density)
    sd = np.sqrt(np.diag(best.spread))
    again = minimize(lambda t: -own.density((best.place + t * sd)[None])[0], np.zeros(len(sd)), method="Nelder-Mead")
    assert -again.fun < best.density + 0.1


def test_the_spread_is_the_inverse_of_the_curvature():
    own = problem(additive())
    best = find_modes(own)[0]
    values, vectors = np.linalg.eigh(best.spread)
    for value, direction in zip(values, vectors.T, strict=True):
        step = 0.15 * np.sqrt(value) * direction
        fall = 2 * best.density - own.density(best.place + np.array([step, -step])).sum()
        assert fall / 0.15**2 == pytest.approx(1.0, abs=0.3)


def test_the_mode_is_near_the_truth():
    own = problem(additive())
    best = find_modes(own)[0]
    theta = own.natural(best.place[None])[0]
    assert np.exp(theta[3:5]) == pytest.approx([ALPHA, BETA], rel=0.1)
    assert np.exp(best.place[-2]) == pytest.approx(NOISE, rel=0.4)


def test_starting_near_finds_the_same():
    own = problem(additive())
    first = find_modes(own)
    second = find_modes(own, first)
    assert second[0].density == pytest.approx(first[0].density, abs=0.1)


def test_what_others_know_moves_the_mode():
    """A precise word on the exponents is believed against the rows."""
    centre, precision = np.array([np.log(0.5), np.log(0.3), np.log(1.7)]), np.diag([1e6, 1e6, 1e2])
    own = problem(additive(), shared=(centre, precision))
    theta = own.natural(find_modes(own)[0].place[None])[0]
    assert np.exp(theta[3:5]) == pytest.approx([0.5, 0.3], rel=0.01)
