"""Law lines and bands by hand, parabolas, and minima that count or do not."""

from dataclasses import replace

import numpy as np
import pytest

from difflaw.report.law_lines import FORWARD, best_point, error_factor, law_line, law_pieces, parabola


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
