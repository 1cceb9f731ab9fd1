"""Planted rows and their law, fitted once for all tests of the folder."""

from __future__ import annotations

import numpy as np
import pytest

from difflaw.law.posterior.fit import columns, fit_posterior
from tests.law.conftest import best_size, ladder, loss

NOISE = 0.002


def additive(seed=0, sd=NOISE):
    """Rows (N, D, loss) of 35 runs on five budgets."""
    frame = ladder(seed, sd=sd)
    return frame.params.to_numpy(), frame.tokens.to_numpy(), frame.loss.to_numpy()


def interacting(n, d):
    """A loss whose data term changes with the size, as Farseer's runs show it."""
    x, z = np.log(n / 1e8), np.log(d / 4e9)
    return 1.6 + 0.5 * np.exp(-0.2 * x) + np.exp(-1.0 + 0.2 * x - 0.35 * np.exp(-0.13 * x) * z)


def interaction(seed=0, sd=NOISE):
    """Rows (N, D, loss) of 60 runs whose data term changes with the size."""
    rng = np.random.default_rng(seed)
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(2e8, 4e10, 10)))
    return n, d, interacting(n, d) * np.exp(sd * rng.standard_normal(len(n)))


@pytest.fixture(scope="session")
def planted():
    """The averaged law of 35 runs with .2 % noise."""
    return fit_posterior(columns(*additive()))


def true_loss(flops):
    """Lowest loss of the planted law at a budget."""
    n = best_size(flops)
    return loss(n, flops / 6 / n)
