"""An error shared by the runs of a size is noticed, measured, and not imagined."""

import numpy as np
import pytest

from difflaw.law import fit_surface
from difflaw.law.surface.size_effect import size_effect, size_groups

SIZES, BUDGETS = 8, (1e17, 3e17, 1e18, 3e18, 1e19)


def ladder(truth, seed, ratio):
    frame = truth.ladder(fixed=np.geomspace(2e7, 1.2e9, SIZES), sizes=SIZES, budgets=BUDGETS)
    rng = np.random.default_rng(seed)
    shared = dict(zip(np.unique(frame["params"]), np.sqrt(ratio) * rng.standard_normal(SIZES), strict=True))
    frame["loss"] *= np.exp(0.003 * (rng.standard_normal(len(frame)) + frame["params"].map(shared)))
    return [frame[c].to_numpy() for c in ("params", "tokens", "loss")]


def test_found_where_it_is_and_not_where_it_is_not(truth):
    found = {ratio: [fit_surface(*ladder(truth, s, ratio))[0].size_effect for s in range(40)] for ratio in (0, 4)}
    assert sum(e.detected for e in found[4]) >= 36
    assert sum(e.detected for e in found[0]) <= 10
    assert np.median([e.between_sd for e in found[4]]) == pytest.approx(0.006, rel=0.25)
    assert np.median([e.within_sd for e in found[4]]) == pytest.approx(0.003, rel=0.15)


def test_intervals_count_sizes_and_the_warning_names_a_remedy(truth):
    data = ladder(truth, 1, 9)
    surface, warnings = fit_surface(*data)
    plain, _ = fit_surface(*data, method="hc3")
    wide, narrow = (s.intervals["params_exponent"] for s in (surface, plain))
    assert wide.high - wide.low > 1.3 * (narrow.high - narrow.low)
    assert f"random effect of {SIZES} sizes" in wide.kind
    assert any("share an error" in w and "re-tune" in w for w in warnings)
    assert surface.run_sd > 1.5 * surface.size_effect.within_sd


def test_shared_errors_are_covered(truth):
    hits = np.zeros(2)
    for seed in range(50):
        data = ladder(truth, seed, 4)
        for i, method in enumerate(("auto", "hc3")):
            interval = fit_surface(*data, method=method)[0].intervals["params_exponent"]
            hits[i] += interval.low <= truth.a <= interval.high
    assert hits[0] / 50 >= 0.86
    assert hits[1] / 50 <= 0.8


def test_sizes_within_a_percent_are_one():
    groups = size_groups(np.log([1e8, 1.004e8, 2e8, 1e7, 1.03e8]))
    assert groups.tolist() == [1, 1, 3, 0, 2]


def test_nothing_to_test_without_repeated_sizes():
    rng = np.random.default_rng(0)
    effect = size_effect(rng.standard_normal((20, 5)), rng.standard_normal(20), np.arange(20))
    assert (effect.p_value, effect.detected, effect.repeated) == (1.0, False, 0)
