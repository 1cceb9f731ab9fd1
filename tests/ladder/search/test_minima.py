"""What a bracket's minimum is known to, and that the search's sizes lie where that is little."""

from __future__ import annotations

import math

import numpy as np
import pytest

from difflaw.ladder.search.minima import NEAR_ENOUGH, SPREAD, WINDOW
from difflaw.law.isoflop import profiles


@pytest.mark.parametrize(("apart", "curvature", "noise"), [(1.2, 0.025, 0.001), (0.7, 0.05, 0.002)])
def test_the_error_of_a_bracket_s_minimum(apart, curvature, noise) -> None:
    u = apart * np.array([-1.0, 0.0, 1.0])
    rng = np.random.default_rng(0)
    found = []
    for _ in range(4000):
        c2, c1, _ = np.polyfit(u, curvature * u**2 + noise * rng.standard_normal(3), 2)
        found.append(-c1 / (2 * c2))
    assert np.std(found) == pytest.approx(math.sqrt(2) / 4 * noise / (curvature * apart), rel=0.05)


def test_sizes_that_are_taken_lie_in_the_window_of_a_parabola() -> None:
    assert SPREAD + NEAR_ENOUGH <= WINDOW + 1e-9
    assert math.exp(WINDOW) == pytest.approx(profiles.WINDOW)
