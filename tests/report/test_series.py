"""What is drawn: law lines and bands by hand, curves, sweeps."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from difflaw.report.law_lines import FORWARD, best_point, error_factor, law_line, law_pieces, parabola
from difflaw.report.rate_sweeps import rate_sweeps
from difflaw.report.runs import curves_of, envelope, families_of


def test_law_line_is_the_law_and_its_band_is_narrowest_at_the_centre(ladder):
    law = ladder.laws.families["masked"].loss_law
    line = law_line(law, *law.x_range, points=41)
    assert line.y[7] == pytest.approx(law(line.x[7]))
    width = np.log(line.high / line.low)
    assert abs(np.log(line.x[width.argmin()]) - law.centre) < 0.1
    # By hand at one point: 2 · t(0.975, 1 degree of freedom) · standard error.
    offset = np.log(line.x[3]) - law.centre
    error = np.sqrt(law.covariance[0][0] + offset**2 * law.covariance[1][1])
    assert width[3] == pytest.approx(2 * 12.7062 * error, rel=1e-4)


def test_law_without_covariance_has_no_band(ladder):
    law = replace(ladder.laws.families["masked"].loss_law, covariance=None, interval=None)
    inside, beyond = law_pieces(law)
    assert inside.low is None
    assert beyond.x[-1] == pytest.approx(law.x_range[1] * FORWARD)


def test_curves_keep_broken_runs_and_drop_unusable_rows():
    table = pd.DataFrame(
        {
            "family": ["a"] * 4 + ["b"],
            "run": ["1", "1", "1", "2", "3"],
            "flops": [3e12, 1e12, 2e12, 1e12, 1e12],
            "loss": [2.0, 3.0, np.nan, 9.0, None],
            "status": ["done"] * 3 + ["diverged", "failed"],
        }
    )
    curves = {curve.run: curve for curve in curves_of(table)}
    assert list(curves["1"].loss) == [3.0, 2.0]
    assert curves["2"].broken
    assert len(curves["3"].loss) == 0
    assert families_of(curves.values(), None) == ["a"]
    flops, loss = envelope(curves.values(), "a")
    assert list(flops) == [1e12, 3e12]
    assert list(loss) == [3.0, 2.0]


def test_sweeps_need_two_rates_at_one_horizon(ladder):
    sweeps = rate_sweeps(curves_of(ladder.table))
    assert {sweep.family for sweep in sweeps} == set(ladder.laws.families)
    assert sweeps[0].rates == (1e-3, 2e-3, 4e-3)
    assert sweeps[0].label.startswith("128×3, batch 16.4k")
    longer = ladder.table.copy()
    chosen = longer["lr"] == 2e-3
    longer.loc[chosen, ["tokens", "flops"]] *= 2.0
    assert all(2e-3 not in sweep.rates for sweep in rate_sweeps(curves_of(longer)))


def test_a_run_broken_before_its_first_loss_is_in_the_sweep(ladder):
    extra = ladder.table[ladder.table["lr"] == 4e-3].groupby("family").tail(1).copy()
    extra = extra.assign(run="lost", lr=8e-3, loss=np.nan, status="diverged")
    sweeps = rate_sweeps(curves_of(pd.concat([ladder.table, extra])))
    assert all(sweep.diverged == (8e-3,) for sweep in sweeps)


def test_parabola_passes_its_vertex_and_errors_are_bounded(ladder):
    profile = ladder.laws.families["masked"].profiles[1]
    _, loss = parabola(profile)
    assert loss.min() == pytest.approx(profile.vertex.loss, rel=1e-4)
    assert parabola(replace(profile, coefficients=None)) is None
    assert error_factor(float("nan")) == 1.0
    assert error_factor(50.0) == pytest.approx(10.0)


def test_best_point_is_the_vertex_or_the_best_run_at_the_edge(ladder):
    inside = ladder.laws.families["masked"].profiles[1]
    assert best_point(inside).params == inside.vertex.params
    assert best_point(inside).sound
    edge = replace(inside, vertex=None, status="edge-low")
    assert best_point(edge).loss == min(inside.loss)
    assert not best_point(edge).sound
    assert best_point(replace(inside, status="not-convex")) is None
    far = replace(inside, vertex=replace(inside.vertex, params=1e12), status="edge-high")
    assert best_point(far).params in inside.params
