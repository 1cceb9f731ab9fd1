"""Sampled densities whose integral and moments are known: normal, banana-shaped, with two modes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from difflaw.law.posterior.importance import ENOUGH, sample

NORMAL = multivariate_normal([1.0, -2.0], [[0.5, 0.3], [0.3, 2.0]])
BEND = 0.5


def normal(x):
    return NORMAL.logpdf(x) + 3.7


def banana(x):
    """Standard normal in x, normal about BEND·x² in y: means (0, BEND), variances (1, .36 + 2·BEND²)."""
    return norm.logpdf(x[:, 0]) + norm.logpdf(x[:, 1], BEND * x[:, 0] ** 2, 0.6)


def two_modes(x):
    first, second = (multivariate_normal.logpdf(x, m, s) for m, s in (([-4, 0], 1.0), ([4, 1], 0.25)))
    return np.logaddexp(np.log(0.3) + first, np.log(0.7) + second)


CASES = {
    "normal": (normal, [((0.8, -2.5), 0.7)], 3.7, (1.0, -2.0), (0.5, 2.0)),
    "banana": (banana, [((0.0, 0.0), 0.3)], 0.0, (0.0, BEND), (1.0, 0.36 + 2 * BEND**2)),
    "two modes": (two_modes, [((-4.0, 0.0), 1.0), ((4.0, 1.0), 0.25)], 0.0, (1.6, 0.7), (0.475 + 13.44, 0.475 + 0.21)),
}


@pytest.mark.parametrize("name", CASES)
def test_integral_and_moments(name):
    """One sample within four of its standard errors, 48 together within three, their integral within 2 %, variances 5 %."""
    target, modes, ln_integral, means, variances = CASES[name]
    places = [(np.array(at), scale * np.eye(2)) for at, scale in modes]
    integrals, off, spreads = [], [], []
    for seed in range(48):
        found = sample(target, places, np.random.default_rng(seed))
        assert found.size > ENOUGH
        assert found.weights.sum() == pytest.approx(1)
        integrals.append(np.exp(found.ln_evidence - ln_integral))
        assert abs(integrals[-1] - 1) < 3 * found.size**-0.5
        centre = found.weights @ found.points
        off.append((centre - means) / np.sqrt(np.array(variances) / found.size))
        assert np.all(np.abs(off[-1]) < 4)
        spreads.append(found.weights @ (found.points - centre) ** 2)
    assert np.all(np.abs(np.mean(off, 0)) < 3 / 48**0.5)
    assert np.allclose(np.mean(spreads, 0), variances, rtol=0.05)
    assert np.mean(integrals) == pytest.approx(1, abs=0.02)


def test_the_size_says_how_unequal_the_weights_are():
    found = sample(normal, [(np.zeros(2), np.eye(2))], np.random.default_rng(0))
    assert found.size == pytest.approx(1 / (found.weights**2).sum())


def test_same_seed_same_sample():
    drawn = [sample(banana, [(np.zeros(2), np.eye(2))], np.random.default_rng(s)) for s in (3, 3, 4)]
    assert np.array_equal(drawn[0].points, drawn[1].points)
    assert np.array_equal(drawn[0].weights, drawn[1].weights)
    assert drawn[0].ln_evidence != drawn[2].ln_evidence
