"""Lines in logarithms: exact recovery, HC3 by hand, weights, and what an interval is made of."""

import math

import numpy as np
import pytest

from difflaw.law import fit_power, predict_interval
from difflaw.law.power import Spread, fit_line, hc3, power_law, quantile


def test_exact_law_is_recovered():
    x = np.geomspace(1e10, 1e14, 6)
    law = fit_power(x, 3e-4 * x**0.57, y_name="params", x_name="flops")
    assert law.exponent == pytest.approx(0.57, abs=1e-10)
    assert law.coefficient == pytest.approx(3e-4, rel=1e-8)
    assert law(1e16) == pytest.approx(3e-4 * 1e16**0.57, rel=1e-8)
    assert law.interval.high - law.interval.low < 1e-9


def test_hc3_against_leave_one_out_by_hand():
    rng = np.random.default_rng(0)
    x, e = np.arange(7.0), rng.standard_normal(7)
    y = 1 + 0.5 * x + e
    # HC3's slope variance: sum of ((x_i - mean) r_i / ((1 - h_i) Sxx))², h_i = 1/n + (x_i - mean)²/Sxx
    dx = x - x.mean()
    sxx = dx @ dx
    slope = dx @ y / sxx
    r = y - y.mean() - slope * dx
    h = 1 / 7 + dx**2 / sxx
    by_hand = np.sum((dx * r / ((1 - h) * sxx)) ** 2)
    covariance = hc3(np.stack([np.ones(7), dx], 1), np.ones(7), r)
    assert covariance[1, 1] == pytest.approx(by_hand, rel=1e-10)
    law = fit_power(np.exp(x), np.exp(y))
    half = quantile(0.95, 5) * math.sqrt(by_hand)
    assert law.interval.high - law.exponent == pytest.approx(half, rel=1e-9)
    assert "HC3, t(5)" in law.interval.kind


def test_quantiles():
    assert quantile(0.95, 0) == pytest.approx(1.959964, abs=1e-5)
    assert quantile(0.95, 3) == pytest.approx(3.182446, abs=1e-5)


def test_known_variances_weight_the_points():
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0, 9.0])
    plain = fit_line(x, y)
    doubted = fit_line(x, y, [1e-2, 1e-2, 1e-2, 1e2])
    assert plain.slope > 2
    assert doubted.slope == pytest.approx(1.0, abs=0.05)


def test_excess_scatter_is_found():
    rng = np.random.default_rng(1)
    x = np.linspace(0, 5, 400)
    line = fit_line(x, x + rng.normal(0, math.sqrt(0.01 + 0.04), 400), np.full(400, 0.01))
    assert line.tau2 == pytest.approx(0.04, rel=0.25)
    line = fit_line(x, x + rng.normal(0, 0.05, 400), np.full(400, 0.01))
    assert line.tau2 == 0


def test_two_points_need_variances_for_an_interval():
    x, y = [1e10, 1e12], [1e3, 1e4]
    law = fit_power(x, y)
    assert law.exponent == pytest.approx(0.5)
    assert law.interval is None
    assert predict_interval(law, 1e13) is None
    law = fit_power(x, y, variance=[0.01, 0.03])
    half = 1.959964 * math.sqrt(0.04) / math.log(100)
    assert law.interval.high - law.exponent == pytest.approx(half, rel=1e-4)
    assert "normal" in law.interval.kind


def test_the_widest_spread_is_reported_and_predicts():
    rng = np.random.default_rng(0)
    line = fit_line(np.arange(6.0), np.arange(6.0) + 0.1 * rng.standard_normal(6), np.full(6, 0.01), 9)
    halves = [s.half_width(0.95) for s in line.spreads]
    law = power_law(line, "y", "x", note="a caveat")
    assert law.interval.high - law.exponent == pytest.approx(max(halves))
    assert "a caveat" in law.interval.kind
    law = power_law(line, "y", "x", extra=[Spread(np.diag([1.0, 4.0]), 0, "by hand")], note="a caveat")
    assert law.interval.high - law.exponent == pytest.approx(2 * 1.959964, rel=1e-5)
    assert "by hand; the widest of 3 ways" in law.interval.kind
    assert "a caveat" not in law.interval.kind
    assert law.covariance == ((1.0, 0.0), (0.0, 4.0))
    assert law.degrees_of_freedom == 0


def test_one_point_has_no_law():
    assert fit_power([1e10], [1.0]) is None
    assert fit_power([1e10, 1e10], [1.0, 2.0]) is None


def test_prediction_widens_away_from_the_centre():
    rng = np.random.default_rng(2)
    x = np.geomspace(1e10, 1e12, 8)
    law = fit_power(x, x**0.5 * np.exp(0.1 * rng.standard_normal(8)), y_name="params", x_name="flops")
    width = [math.log(i.high / i.low) for i in (predict_interval(law, c) for c in (1e11, 1e12, 1e14))]
    assert width[0] < width[1] < width[2]
    by_hand = np.linalg.multi_dot([v := np.array([1, math.log(1e14) - law.centre]), np.array(law.covariance), v])
    assert width[2] / 2 == pytest.approx(quantile(0.95, 6) * math.sqrt(by_hand))
    assert "a factor 100 outside" in predict_interval(law, 1e14).kind


def test_prediction_covers_the_mean():
    rng = np.random.default_rng(3)
    x, hits = np.geomspace(1, 1e3, 6), 0
    for _ in range(200):
        law = fit_power(x, x**0.5 * np.exp(0.05 * rng.standard_normal(6)))
        i = predict_interval(law, 1e4)
        hits += i.low <= 100 <= i.high
    assert 0.9 <= hits / 200 <= 1.0
