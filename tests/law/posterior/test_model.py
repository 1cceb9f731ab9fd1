"""The surface by direct arithmetic: additive, with an interaction, with repeated data."""

from __future__ import annotations

import numpy as np
import pytest

from difflaw.law.posterior.model import COUNT, NAMES, ln_loss, where
from difflaw.law.repeated_data import effective_tokens
from tests.law.conftest import ALPHA, BETA, A, B, E

CENTRE = (np.log(1e8), np.log(3e9), np.log(0.05))
N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e6, 1e10, 5), np.geomspace(1e8, 1e12, 6)))


def theta(**other):
    """The planted additive law about the centre, with other parameters where given."""
    values = dict.fromkeys(NAMES, 0.0) | {"p": -np.inf, "ln_kappa": -4.5, "ln_half_life": np.log(15.0)}
    values |= {"a": np.log(A) - ALPHA * CENTRE[0], "b": np.log(B) - BETA * CENTRE[1], "e": np.log(E)}
    values |= {"ln_alpha": np.log(ALPHA), "ln_beta": np.log(BETA)} | other
    return np.array([[values[name] for name in NAMES]])


def test_additive():
    found = np.exp(ln_loss(theta(), where(N, D, CENTRE)))
    assert found.shape == (1, len(N))
    assert np.allclose(found[0], E + A * N**-ALPHA + B * D**-BETA, rtol=1e-12)


def test_interaction():
    c, g, q, h = 0.2, -0.1, -0.01, 0.004
    x, z = np.log(N) - CENTRE[0], np.log(D) - CENTRE[1]
    b, beta = np.log(B) - BETA * CENTRE[1] + c * x + q * x * x, BETA * np.exp(g * x + h * x * x)
    expected = E + A * N**-ALPHA + np.exp(b - beta * z)
    found = np.exp(ln_loss(theta(c=c, g=g, q=q, h=h), where(N, D, CENTRE)))
    assert np.allclose(found[0], expected, rtol=1e-12)


def test_no_interaction_is_additive():
    """Also where another draw of the batch has one, which takes another path."""
    both = np.concatenate([theta(), theta(c=0.2, g=-0.1)])
    at = where(N, D, CENTRE)
    assert np.allclose(ln_loss(both, at)[0], ln_loss(theta(), at)[0], rtol=0, atol=1e-14)


def test_repeated_data_are_worth_effective_tokens():
    unique = D / 7.0
    found = np.exp(ln_loss(theta(), where(N, D, CENTRE, unique)))
    worth = effective_tokens(D, unique, 15.0)
    assert np.allclose(found[0], E + A * N**-ALPHA + B * worth**-BETA, rtol=1e-10)


def test_the_penalty_rises_with_epochs_and_ends():
    n, u = 1e8, 1e9
    tokens = u * np.array([1.0, 2.0, 50.0, 1e6])
    p, delta, kappa = -2.0, 0.8, 0.03
    at = where(np.full(4, n), tokens, CENTRE, np.full(4, u))
    extra = np.exp(ln_loss(theta(p=p, delta=delta, ln_kappa=np.log(kappa)), at)) - np.exp(ln_loss(theta(), at))
    most = np.exp(p + delta * (np.log(n / u) - CENTRE[2]))
    assert np.allclose(extra[0], most * (1 - np.exp(-kappa * (tokens / u - 1))), rtol=1e-8, atol=1e-14)
    assert extra[0, -1] == pytest.approx(most)


@pytest.mark.parametrize("unique", [1.0, 3.0, np.inf, np.nan])
def test_enough_different_tokens_change_nothing(unique):
    fresh = ln_loss(theta(p=-1.0), where(N, D, CENTRE))
    assert np.allclose(ln_loss(theta(p=-1.0), where(N, D, CENTRE, unique * D)), fresh, rtol=0, atol=1e-12)


def test_no_draw_overflows():
    wild = np.random.default_rng(0).normal(0, 30, (200, COUNT))
    assert np.all(np.isfinite(ln_loss(wild, where(N, D, CENTRE, D / 3))))
