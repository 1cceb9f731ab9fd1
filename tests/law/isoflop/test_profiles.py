"""Profiles: reading curves, the parabola's minimum and its error, and edges that are named instead of averaged."""

import math

import numpy as np
import pytest

from difflaw.law import fit_laws, table_from_frame
from difflaw.law.isoflop.profiles import design, fit_profiles, window_of
from difflaw.law.table.curves import Curve, choose_budgets, curves_of, points_at, read_curve, winners_bias


def profiles_of(frame, budgets=None):
    table = table_from_frame(frame)
    chosen, _ = choose_budgets(table, budgets)
    return fit_profiles("masked", curves_of(table, "masked"), chosen)


def line(points, x):
    flops, loss = np.array(points).T
    curve = Curve("r", 1e6, 6e6, (-1, -1), np.log(flops), np.log(loss), np.full(len(flops), math.nan))
    return read_curve(curve, x)


def test_read_curve_interpolates_in_logs_and_does_not_extrapolate():
    points = [(1e10, 4.0), (4e10, 3.0)]
    assert math.exp(line(points, 2e10)[0]) == pytest.approx(math.sqrt(12))
    assert math.exp(line(points, 4e10)[0]) == pytest.approx(3.0, rel=1e-12)
    assert line(points, 4.07e10)[0] < math.log(3.0)
    assert line(points, 4.1e10) is None
    assert line(points, 0.97e10) is None
    assert line([(1e10, 4.0)], 1.04e10)[0] == math.log(4.0)
    assert line([(1e10, 4.0)], 1.06e10) is None


def test_vertex_matches_planted_optimum(truth):
    profiles, _, _ = profiles_of(truth.ladder(step=1.3))
    for p in profiles:
        assert p.status == "interior"
        assert p.vertex.params == pytest.approx(truth.best_size(p.flops), rel=0.02)  # a parabola is biased a little
        assert p.vertex.loss == pytest.approx(truth.loss(p.vertex.params, p.vertex.tokens), rel=1e-4)
        assert p.vertex.params * p.vertex.tokens * 6 == pytest.approx(p.flops)


def test_tokens_at_vertex_follow_any_convention(truth):
    frame = truth.ladder()
    frame["flops_per_token"] = 10 * frame["params"] ** 0.9
    frame["tokens"] = frame["flops"] / frame["flops_per_token"]
    for p in profiles_of(frame)[0]:
        if p.vertex:
            assert p.vertex.flops_per_token == pytest.approx(10 * p.vertex.params**0.9)
            assert p.vertex.tokens == pytest.approx(p.flops / p.vertex.flops_per_token)


def test_vertex_error_by_hand_and_by_simulation(truth):
    profiles, noise, _ = profiles_of(truth.ladder(seed=1, sd=0.003))
    p = profiles[0]
    x, _ = design(p)
    _, c1, c2 = p.coefficients
    cov = noise.variance * np.linalg.inv(x.T @ x)
    by_hand = (cov[1, 1] - 2 * cov[1, 2] * c1 / c2 + cov[2, 2] * (c1 / c2) ** 2) / (4 * c2**2)
    assert p.vertex.ln_params_se == pytest.approx(math.sqrt(by_hand))
    ends = [profiles_of(truth.ladder(seed=s, sd=0.003))[0][0].vertex for s in range(80)]
    scatter = np.std([math.log(v.params) for v in ends if v])
    assert p.vertex.ln_params_se == pytest.approx(scatter, rel=0.5)


def test_pooled_variance_finds_planted_noise(truth):
    frame = truth.ladder(seed=3, sd=0.003, budgets=np.geomspace(1e17, 1e19, 12))
    noise = profiles_of(frame)[1]
    assert 40 <= noise.dof <= 48
    assert math.sqrt(noise.variance) == pytest.approx(0.003, rel=0.3)


def test_error_shared_by_a_size_is_told_from_independent(truth):
    fixed = truth.best_size(1e18) * 1.6 ** np.arange(-4.0, 5.0)
    frame = truth.ladder(fixed=fixed, budgets=np.geomspace(5e17, 2e18, 9))
    offsets = dict(zip(fixed, 0.004 * np.random.default_rng(5).standard_normal(9), strict=True))
    shared = frame.assign(loss=frame["loss"] * np.exp(frame["params"].map(offsets)))
    alone = frame.assign(loss=frame["loss"] * np.exp(0.004 * np.random.default_rng(5).standard_normal(len(frame))))
    noise = profiles_of(shared)[1]
    assert noise.shared > 0.6 * noise.variance
    noise = profiles_of(alone)[1]
    assert noise.shared < 0.4 * noise.variance


def test_edges_are_named_and_never_averaged_in(truth):
    budgets = (1e16, 3e16, 1e18, 3e18, 1e19)
    fixed = truth.best_size(3e18) * 1.5 ** np.arange(-3.0, 4.0)
    laws = fit_laws(table_from_frame(truth.ladder(budgets=budgets, fixed=fixed)))
    family = laws.families["masked"]
    assert [p.status for p in family.profiles] == ["edge-low", "edge-low", "interior", "interior", "interior"]
    assert "the smallest size" in family.profiles[0].message
    assert "add a rung below" in family.profiles[0].message
    assert family.params_law.points == 3
    assert family.params_law.x_range[0] == pytest.approx(1e18)
    assert family.params_law.exponent == pytest.approx(truth.a, abs=0.05)
    assert any("left out" in w for w in family.warnings)


def test_grid_too_small_is_edge_high(truth):
    profiles, _, _ = profiles_of(truth.ladder(shift=0.05))
    assert {p.status for p in profiles} == {"edge-high"}
    assert "add a rung above" in profiles[0].message
    family = fit_laws(table_from_frame(truth.ladder(shift=0.05))).families["masked"]
    assert family.params_law is None
    assert any("no law" in w for w in family.warnings)


def test_too_few_sizes_and_flat(truth):
    profiles, _, _ = profiles_of(truth.ladder(sizes=2))
    assert {p.status for p in profiles} == {"too-few-sizes"}
    noisy = profiles_of(truth.ladder(seed=2, sd=0.05, step=1.05))[0]
    assert "interior" not in {p.status for p in noisy}


def test_three_sizes_lean_on_evaluation_error(truth):
    frame = truth.ladder(sizes=3, step=2.5)
    family = fit_laws(table_from_frame(frame.assign(loss_se=0.01))).families["masked"]
    assert family.profiles[0].vertex.ln_params_se > 0
    assert any("standard error alone" in w for w in family.warnings)
    family = fit_laws(table_from_frame(frame)).families["masked"]
    assert math.isnan(family.profiles[0].vertex.ln_params_se)
    assert any("minima have no error" in w for w in family.warnings)


def test_evaluation_error_moves_the_level_only(truth):
    frame = truth.ladder(seed=1, sd=0.002)
    with_se, without = profiles_of(frame.assign(loss_se=0.05))[0][0], profiles_of(frame)[0][0]
    assert with_se.vertex.ln_params_se == without.vertex.ln_params_se
    assert with_se.vertex.ln_loss_se > 3 * without.vertex.ln_loss_se


def test_seeds_average_and_tuned_runs_take_the_best(truth):
    frame = truth.ladder(budgets=(1e18,))
    two = [frame.assign(lr=0.1, seed=s, loss=frame["loss"] + d) for s, d in ((0, 0.01), (1, 0.03))]
    worse = frame.assign(lr=0.3, seed=0, loss=frame["loss"] + 0.1)
    import pandas as pd

    table = table_from_frame(pd.concat([*two, worse]))
    points = points_at(curves_of(table, "masked"), 1e18)
    best = frame["loss"].to_numpy()[np.argsort(frame["params"])]
    expected = np.sqrt((best + 0.01) * (best + 0.03))
    assert np.exp([p.ln_loss for p in points]) == pytest.approx(expected)
    assert points[0].settings == 2
    assert len(points[0].runs) == 2
    assert any("minimum over up to 2 tuned runs" in w for w in fit_laws(table).families["masked"].warnings)


def test_winners_bias_against_known_values():
    assert winners_bias(1) == 0
    assert winners_bias(10) == pytest.approx(1.539, abs=0.02)


def test_window_keeps_the_nearest():
    x = np.log(2.0) * np.arange(12)
    used = window_of(x, (x - x[5]) ** 2, window=4.0)
    assert np.flatnonzero(used).tolist() == [3, 4, 5, 6, 7]
    used = window_of(x / 4, (x - x[5]) ** 2, window=4.0)
    assert np.flatnonzero(used).tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert window_of(3 * x, (x - x[5]) ** 2, window=4.0).sum() == 5


def test_budgets_by_column_by_cluster_and_by_range(truth):
    frame = truth.ladder()
    assert choose_budgets(table_from_frame(frame), None)[0] == (1e17, 3e17, 1e18, 3e18, 1e19)
    jitter = frame.drop(columns="budget")
    jitter["flops"] *= np.exp(0.02 * np.random.default_rng(0).uniform(-1, 1, len(jitter)))
    found, words = choose_budgets(table_from_frame(jitter), None)
    assert len(found) == 5
    assert "5 %" in words
    found, words = choose_budgets(table_from_frame(truth.curves()), None)
    assert len(found) == 5
    assert found[-1] == pytest.approx(1e18)
    assert "log-spaced" in words
