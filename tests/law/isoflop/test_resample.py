"""The parametric bootstrap of runs, profiles and laws: right size, right correlation, same seed same numbers."""

import numpy as np
import pytest

from difflaw.law import table_from_frame
from difflaw.law.isoflop.frontier import frontier_laws
from difflaw.law.isoflop.profiles import Noise, fit_profiles
from difflaw.law.isoflop.resample import perturbed_minima, resample_laws
from difflaw.law.power import fit_line
from difflaw.law.table.curves import curves_of


def chain(frame, budgets):
    table = table_from_frame(frame)
    return fit_profiles("masked", curves_of(table, "masked"), budgets)[0]


def test_spread_matches_the_scatter_of_planted_ladders(truth):
    budgets = (1e17, 3e17, 1e18, 3e18, 1e19)
    profiles = chain(truth.ladder(budgets=budgets), budgets)
    x = np.log(budgets)
    lines = {"params": fit_line(x, np.log([p.vertex.params for p in profiles]))}
    spread = resample_laws(profiles, Noise(9e-6, 20, 0.0, 9e-6, "residuals"), lines)[0]["params"]
    slopes = []
    for seed in range(60):
        refit = chain(truth.ladder(seed=seed, sd=0.003, budgets=budgets), budgets)
        slopes.append(fit_line(x, np.log([p.vertex.params for p in refit])).slope)
    assert np.sqrt(spread.covariance[1, 1]) == pytest.approx(np.std(slopes), rel=0.3)
    assert spread.dof == 20


def test_an_error_shared_by_a_size_moves_neighbouring_budgets_together(truth):
    budgets = (0.9e18, 1.1e18)
    fixed = truth.best_size(1e18) * 1.6 ** np.arange(-3.0, 4.0)
    profiles = chain(truth.ladder(fixed=fixed, budgets=budgets), budgets)
    together = []
    for shared in (0.0, 3.8e-6):
        minima = perturbed_minima(
            profiles, Noise(4e-6, 8, shared, 4e-6 - shared, "residuals"), np.random.default_rng(0), 2000
        )
        together.append(np.corrcoef(minima["params"].T)[0, 1])
        scatter = minima["params"].std(0)
        assert (scatter > 0.005).all()
        assert minima["params"] + minima["tokens"] + np.log(6) == pytest.approx(
            np.log(budgets) * np.ones((2000, 2)), abs=1e-6
        )
    assert abs(together[0]) < 0.1
    assert together[1] > 0.8


def test_same_seed_same_numbers_other_seed_others(truth):
    budgets = (1e17, 1e18, 1e19)
    frame = truth.ladder(seed=1, sd=0.003, budgets=budgets)
    table = table_from_frame(frame)
    profiles, noise, _ = fit_profiles("masked", curves_of(table, "masked"), budgets)
    one, again = (frontier_laws(profiles, noise, seed=0).params for _ in range(2))
    assert one == again
    lines = {"params": fit_line(np.log(budgets), np.log([p.vertex.params for p in profiles]))}
    draws = [resample_laws(profiles, noise, lines, seed=s)[0]["params"].covariance for s in (0, 0, 1)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).all()
    assert np.allclose(draws[0], draws[2], rtol=0.5)


def test_nothing_is_resampled_without_a_known_scatter(truth):
    profiles = chain(truth.ladder(sizes=3, step=2.5, budgets=(1e18, 1e19)), (1e18, 1e19))
    assert resample_laws(profiles, Noise(np.nan, 0, np.nan, np.nan, "none"), {}) == ({}, 0.0)
