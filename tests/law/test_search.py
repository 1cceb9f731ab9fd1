"""Minima and roots to more digits than the grid that brackets them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from difflaw.law.interpolation import prolonged
from difflaw.law.search import first_root, lowest, root


def test_lowest_point_between_grid_points():
    assert lowest(lambda x: (x - 0.3) ** 2, np.linspace(-8, 8, 61)) == pytest.approx(0.3, abs=1e-5)
    assert lowest(lambda x: x, np.linspace(0, 1, 5)) == pytest.approx(0, abs=1e-5)
    # Nothing is known where the function is infinite or not a number, as a loss without tokens is.
    assert lowest(lambda x: (x - 1) ** 2 if x < 2 else math.inf, np.linspace(-8, 8, 61)) == pytest.approx(1, abs=1e-5)
    assert lowest(lambda x: (x - 1) ** 2 if x < 2 else math.nan, np.linspace(-8, 8, 61)) == pytest.approx(1, abs=1e-5)


def test_root_in_either_direction():
    assert root(lambda x: x**3 - 2, 0, 5) == pytest.approx(2 ** (1 / 3))
    assert root(lambda x: x**3 - 2, 5, 0) == pytest.approx(2 ** (1 / 3))
    assert root(lambda x: x + 1, 0, 5) == 0  # no change of sign: the end that is nearer to one


def test_first_of_two_roots():
    def f(x: float) -> float:
        return (x - 1) * (x - 2)

    assert first_root(f, np.linspace(-3, 5, 81)) == pytest.approx(1)
    assert first_root(f, np.linspace(1.5, 5, 36)) == 1.5
    assert first_root(lambda x: 1.0, np.linspace(0, 1, 5)) is None


def test_straight_pieces_go_on():
    x, y = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0])
    assert prolonged(np.array([-1.0, 0.5, 2.0, 5.0]), x, y) == pytest.approx([-2.0, 1.0, 2.5, 4.0])
    assert prolonged(np.array([4.0]), x[:1], y[:1] + 1) == pytest.approx([5.0])
