"""What a table cannot tell is refused or said, each time with what to do."""

import numpy as np
import pytest

from difflaw.law import fit_surface
from difflaw.law.surface.forms import make_form
from difflaw.law.surface.identifiability import floor_profile
from difflaw.law.surface.least_squares import solve
from difflaw.law.surface.minimum import canonical, find_minimum


def columns(frame):
    return [frame[c].to_numpy() for c in ("params", "tokens", "loss")]


def test_profile_of_the_floor_is_near_the_delta_method_where_it_is_known(truth):
    surface, _ = fit_surface(*columns(truth.ladder(seed=3, sd=0.0005, step=2.0)))
    wald, profile = surface.intervals["E"], surface.intervals["E_profile"]
    assert profile.low == pytest.approx(wald.low, abs=0.3 * (wald.high - wald.low))
    assert profile.high == pytest.approx(wald.high, abs=0.3 * (wald.high - wald.low))
    assert profile.low < truth.E < profile.high
    assert "by profile" in profile.kind


def test_profile_sees_a_floor_that_runs_away(truth):
    frame = truth.ladder(seed=0, sd=0.01, budgets=(1e18, 2e18))
    surface, warnings = fit_surface(*columns(frame))
    assert surface.intervals["E_profile"].low == 0
    assert any("E is not identified" in w and "fix E" in w for w in warnings)


def test_profile_is_where_the_objective_says(truth):
    data = canonical(*columns(truth.ladder(seed=3, sd=0.001, step=2.0)))
    form = make_form()
    minimum = find_minimum(form, data, np.inf)
    # With the covariance of equal unit variance, the limit is an objective higher by t²/2.
    unit = np.linalg.inv(minimum.jacobian.T @ minimum.jacobian) * 1e-6
    low, high = floor_profile(form, data, minimum, unit, 30, 0.95)
    for end in (low, high):
        fixed = solve(make_form("fixed", end), data.x, data.z, data.y, np.delete(minimum.theta, 2)[None])
        assert 2 * (fixed.objective[0] - minimum.objective) / 1e-6 == pytest.approx(2.042**2, rel=0.15)


def test_wide_slices_that_bend_are_said(truth):
    frame = truth.ladder(seed=1, sd=0.002, sizes=9, step=2.2)
    u = np.log(frame["params"] / truth.best_size(frame["flops"]))
    straight = fit_surface(*columns(frame))[1]
    frame["loss"] *= np.exp(0.004 * np.abs(u) ** 3)
    caveats = fit_surface(*columns(frame))[1]
    assert not any("depart from" in w for w in straight)
    assert any("depart from" in w and "within=4" in w for w in caveats)


def test_one_ray_is_refused_for_every_form(truth):
    n = np.geomspace(1e6, 1e9, 12)
    for form in ("free", "zero", "tied", "kaplan"):
        surface, warnings = fit_surface(n, 20 * n, truth.loss(n, 20 * n), form=form)
        assert surface is None
        assert "vary tokens at fixed size" in warnings[0]


@pytest.mark.parametrize("form", ["zero", "kaplan"])
def test_a_form_without_floor_has_no_interval_for_it(truth, form):
    surface, _ = fit_surface(*columns(truth.ladder(seed=1, sd=0.003)), form=form)
    assert surface.E == 0
    assert "E" not in surface.intervals
    assert surface(1e8, 1e9) > 0


def test_bounded_floor_keeps_its_interval_inside(truth):
    surface, _ = fit_surface(*columns(truth.ladder(seed=1, sd=0.003)), form="at-most", entropy=1.75)
    assert surface.E <= 1.75
    assert surface.intervals["E"].high <= 1.75
    assert surface.intervals["E_profile"].high <= 1.75
