"""The likelihood is that of a mixture of a normal and a wide Cauchy; a run is sound with the odds that Bayes gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import cauchy, norm

from difflaw.law.posterior.likelihood import FAILED, WIDER, Rows, log_likelihood, robust_weight, sound
from difflaw.law.posterior.model import where

RESIDUAL = np.array([0.0, 0.001, -0.002, 0.004, 0.05, -0.4])
HEIGHT = np.array([0.0, 0.1, 0.3, 0.5, 0.0, 0.2])
LN_NOISE, GROWTH = math.log(0.002), 1.7
SD = 0.002 * np.exp(GROWTH * HEIGHT)


def rows(weight):
    ones = np.ones(len(RESIDUAL))
    return Rows(where(1e8 * ones, 1e9 * ones, (0.0, 0.0, 0.0)), ones, HEIGHT, weight)


def parts():
    return (1 - FAILED) * norm.pdf(RESIDUAL, scale=SD), FAILED * cauchy.pdf(RESIDUAL, scale=WIDER * SD)


@pytest.mark.parametrize("weight", [np.ones(6), np.array([1.0, 0.5, 0.2, 1.0, 0.3, 0.9])])
def test_sum_of_the_logarithms_of_mixed_densities(weight):
    """But for the constant factor (1 - FAILED)/sqrt(2·pi) of every row, which no parameter changes."""
    noise = np.array([LN_NOISE, LN_NOISE + 1])
    found = log_likelihood(np.stack([RESIDUAL, RESIDUAL]), noise, np.full(2, math.log(GROWTH)), rows(weight))
    constant = math.log((1 - FAILED) / math.sqrt(2 * math.pi))
    expected = weight @ (np.log(sum(parts())) - constant)
    assert found[0] == pytest.approx(expected, rel=1e-12)
    wider = (1 - FAILED) * norm.pdf(RESIDUAL, scale=math.e * SD) + FAILED * cauchy.pdf(
        RESIDUAL, scale=math.e * WIDER * SD
    )
    assert found[1] == pytest.approx(weight @ (np.log(wider) - constant), rel=1e-12)


def test_sound_is_the_posterior_probability():
    good, bad = parts()
    found = sound(RESIDUAL, LN_NOISE, GROWTH, HEIGHT)
    assert np.allclose(found, good / (good + bad), atol=1e-12)
    assert found[0] > 0.99
    assert found[-1] < 1e-10


def test_weights_move_least_squares_as_the_likelihood_pulls():
    """weight·r/s² is minus the derivative of the ln density by the residual."""
    step = 1e-8

    def ln(r):
        return np.log((1 - FAILED) * norm.pdf(r, scale=SD) + FAILED * cauchy.pdf(r, scale=WIDER * SD))

    pull = -(ln(RESIDUAL + step) - ln(RESIDUAL - step)) / (2 * step)
    found = robust_weight(RESIDUAL, LN_NOISE, GROWTH, rows(np.ones(6))) * RESIDUAL / SD**2
    assert np.allclose(found, pull, rtol=1e-4, atol=1e-2)


def test_some_rows_carry_all_their_columns():
    ones = np.ones(6)
    full = Rows(where(np.arange(1, 7.0), 9 * ones, (0.0, 0.0, 0.0), 3 * ones), RESIDUAL, HEIGHT, ones / 2)
    some = full.at_rows(np.array([4, 1]))
    assert len(some) == 2
    assert np.allclose(np.exp(some.at.x), [5, 2])
    assert some.y.tolist() == [0.05, 0.001]
    assert some.at.ln_unique is not None
    assert np.allclose(some.at.ln_unique, math.log(3))
