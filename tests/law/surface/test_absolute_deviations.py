"""Least absolute deviations: the published coefficients, and the conditions of an optimum."""

import numpy as np
import pandas as pd
import pytest

from difflaw.law import fit_surface
from difflaw.law.surface.forms import make_form
from difflaw.law.surface.minimum import canonical, find_minimum


def test_published_coefficients(shared):
    """Not carried in tests/facts: the 245 published runs are others' data."""
    frame = pd.read_csv(shared / "data" / "chinchilla_epoch" / "svg_extracted_data.csv")
    n, c, loss = (frame[k].to_numpy() for k in ("Model Size", "Training FLOP", "loss"))
    keep = loss < np.sort(loss)[-5]
    surface, _ = fit_surface(n[keep], (c / 6 / n)[keep], loss[keep], delta=0.0)
    assert pytest.approx(482.0, abs=0.05) == surface.A
    assert pytest.approx(2085.4, abs=0.2) == surface.B
    assert surface.alpha == pytest.approx(0.34781, abs=1e-5)
    assert surface.beta == pytest.approx(0.36585, abs=1e-5)
    assert pytest.approx(1.81686, abs=1e-5) == surface.E


def test_it_passes_through_as_many_points_as_it_has_parameters(truth):
    frame = truth.ladder(seed=5, sd=0.003)
    data = canonical(*(frame[c] for c in ("params", "tokens", "loss")))
    found = find_minimum(make_form(), data, 0.0)
    assert (np.abs(found.residual) < 1e-9).sum() == 5
    off = np.abs(found.residual) > 1e-9
    # Stationary: the signs of the other points are balanced by forces within ±1 on the five.
    force = np.linalg.solve(found.jacobian[~off].T, -found.jacobian[off].T @ np.sign(found.residual[off]))
    assert np.abs(force).max() <= 1 + 1e-6
