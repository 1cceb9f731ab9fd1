"""Coordinates and natural parameters are each other's inverse, and mean what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from difflaw.law.posterior.coordinates import COORDINATES, to_coordinates, to_natural
from difflaw.law.posterior.model import COUNT, NAMES


def points(count=200):
    return np.random.default_rng(0).normal(0.0, 1.5, (count, COUNT))


def test_inverse_of_each_other():
    there = points()
    assert np.allclose(to_coordinates(to_natural(there)), there, atol=1e-10)
    assert np.allclose(to_natural(to_coordinates(there)), there, atol=1e-10)


def test_they_are_level_slopes_and_shares():
    theta = dict(zip(NAMES, points(1)[0], strict=True))
    a, b, e = (np.exp(theta[k]) for k in ("a", "b", "e"))
    found = dict(zip(COORDINATES, to_coordinates(points(1))[0], strict=False))
    total = a + b + e
    assert found["level"] == pytest.approx(np.log(total))
    assert np.exp(found["ln_size_slope"]) == pytest.approx(np.exp(theta["ln_alpha"]) * a / total)
    assert np.exp(found["ln_token_slope"]) == pytest.approx(np.exp(theta["ln_beta"]) * b / total)
    assert 1 / (1 + np.exp(-found["token_share"])) == pytest.approx(b / total)
    assert 1 / (1 + np.exp(-found["size_share"])) == pytest.approx(a / (a + e))


def test_the_rest_is_untouched():
    there = points()
    assert np.array_equal(to_natural(there)[:, 5:], there[:, 5:])
    assert np.array_equal(to_coordinates(there)[:, 5:], there[:, 5:])


def test_no_share_is_lost_far_out():
    far = np.zeros((1, COUNT))
    far[0, 3:5] = 40.0, -40.0
    assert np.allclose(to_coordinates(to_natural(far)), far, atol=1e-6)
