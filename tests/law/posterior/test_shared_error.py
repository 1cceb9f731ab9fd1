"""Errors that rows share, planted: copies of runs count once, sizes with an error of their own widen."""

from __future__ import annotations

import numpy as np
import pytest

from difflaw.law.posterior.modes import find_modes
from difflaw.law.posterior.shared_error import shared_error
from tests.law.conftest import ladder, loss
from tests.law.posterior.test_modes import problem


def shared(n, d, y, runs=None):
    own = problem((n, d, y))
    names = np.array([f"run {i}" for i in range(len(n))]) if runs is None else runs
    return shared_error(own, find_modes(own)[0], names, n)


def grid(sd=0.002, seed=0):
    frame = ladder(seed, sd=sd, fixed=np.geomspace(2e7, 4e8, 7))
    return tuple(frame[c].to_numpy() for c in ("params", "tokens", "loss"))


def test_independent_runs_count_whole():
    found = shared(*grid())
    assert np.all(found.weight == 1)
    assert found.stretch == 1


def test_copies_count_once():
    n, d, y = (np.repeat(v, 4) for v in grid())
    found = shared(n, d, y, np.repeat([f"run {i}" for i in range(35)], 4))
    assert found.weight.sum() == pytest.approx(35, rel=0.02)


def test_rows_of_a_run_with_half_of_their_error_in_common():
    """Kish: five rows with a correlation of .5 count 1/(1 + 4·.5) each."""
    rng = np.random.default_rng(0)
    runs, rows = 60, 5
    n = np.repeat(np.geomspace(1e7, 1e9, runs), rows)
    d = np.tile(np.geomspace(5e8, 5e10, rows), runs) * np.repeat(rng.uniform(0.5, 2, runs), rows)
    error = 0.002 * (np.repeat(rng.standard_normal(runs), rows) + rng.standard_normal(runs * rows)) / np.sqrt(2)
    found = shared(n, d, loss(n, d) * np.exp(error), np.repeat([f"run {i}" for i in range(runs)], rows))
    assert np.allclose(found.weight, 1 / 3, rtol=0.3)


def test_sizes_with_their_own_error_widen():
    n, d, y = grid(sd=0.0005)
    own = 0.005 * np.random.default_rng(5).standard_normal(7)
    found = shared(n, d, y * np.exp(np.tile(own, 5)))
    assert np.all(found.weight == 1)
    # Five runs of a size hardly tell more than one: sqrt(5) where all of the error is shared.
    assert 1.8 < found.stretch <= 5**0.5 + 1e-9
