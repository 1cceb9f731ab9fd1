"""The surface: planted parameters, the published Chinchilla runs, and designs it must refuse."""

import numpy as np
import pandas as pd
import pytest

from difflaw.law import fit_surface, read_table, table_from_frame
from difflaw.law.surface.least_squares import huber_rows
from difflaw.law.table.trim import surface_rows


def columns(frame):
    return [frame[c].to_numpy() for c in ("params", "tokens", "loss")]


def test_planted_surface_is_recovered(truth):
    surface, warnings = fit_surface(*columns(truth.ladder()))
    for name in ("E", "A", "B", "alpha", "beta"):
        assert getattr(surface, name) == pytest.approx(getattr(truth, name), rel=1e-6)
    assert surface.params_exponent == pytest.approx(truth.a, abs=1e-8)
    assert surface(1e8, 1e9) == pytest.approx(truth.loss(1e8, 1e9))
    assert surface.starts_agreeing[0] >= 2
    assert warnings == ()


def chinchilla(shared, keep=240):
    path = shared / "data" / "chinchilla_epoch" / "svg_extracted_data.csv"
    frame = read_table(path).frame
    return columns(frame[frame["loss"] < np.sort(frame["loss"])[-5]] if keep == 240 else frame)


def test_chinchilla_least_huber(shared):
    """Not carried in tests/facts: the 245 published runs are others' data."""
    data = chinchilla(shared)
    assert len(data[0]) == 240
    surface, _ = fit_surface(*data, delta=1e-3)
    assert surface.objective <= 0.0010185
    assert abs(surface.E - 1.81724) < 0.003
    assert abs(surface.alpha - 0.34731) < 0.001
    assert abs(surface.beta - 0.36718) < 0.001
    assert abs(surface.A / 477.84 - 1) < 0.02
    assert abs(surface.B / 2143.9 - 1) < 0.03
    assert surface.starts_agreeing == (4, 4)
    assert 25 < surface.condition < 45


def test_chinchilla_errors_agree_with_the_published_resamples(shared):
    """Not carried in tests/facts: the 245 published runs are others' data."""
    surface, _ = fit_surface(*chinchilla(shared), delta=1e-3, method="hc3")
    for name, error in (("E", 0.026), ("alpha", 0.0154), ("beta", 0.0206), ("params_exponent", 0.020)):
        interval = surface.intervals[name]
        assert (interval.high - interval.low) / 3.94 == pytest.approx(error, rel=0.25)


def test_chinchilla_all_rows(shared):
    """Not carried in tests/facts: the 245 published runs are others' data."""
    surface, _ = fit_surface(*chinchilla(shared, 245), delta=1e-3)
    assert surface.objective == pytest.approx(0.00182601, abs=2e-8)
    assert surface.beta == pytest.approx(0.4530, abs=1e-3)


def test_huber_by_hand():
    assert huber_rows(np.array([0.5, -3.0]), 1.0).sum() == pytest.approx(0.125 + 2.5)


def test_intervals_cover(truth):
    names, hits = ("params_exponent", "alpha", "beta", "E"), np.zeros(4)
    for seed in range(60):
        surface, _ = fit_surface(*columns(truth.ladder(seed=seed, sd=0.003, step=2.0)))
        low_high = [surface.intervals[name] for name in names]
        hits += [
            i.low <= v <= i.high for i, v in zip(low_high, (truth.a, truth.alpha, truth.beta, truth.E), strict=True)
        ]
    assert (hits / 60 >= 0.85).all()


def test_outliers_move_it_little(truth):
    frame = truth.ladder(seed=1, sd=0.001)
    frame.loc[[3, 20], "loss"] *= 1.1
    robust, _ = fit_surface(*columns(frame))
    plain, _ = fit_surface(*columns(frame), delta=1e9)
    assert abs(robust.params_exponent - truth.a) < 0.02
    assert abs(robust.params_exponent - truth.a) < abs(plain.params_exponent - truth.a)


@pytest.mark.parametrize("jitter", [0.0, 0.01, 0.05])
def test_one_ray_is_refused_or_doubted(truth, jitter):
    rng = np.random.default_rng(0)
    n = np.geomspace(1e6, 1e9, 12)
    d = 20 * n * np.exp(jitter * rng.standard_normal(12))
    surface, warnings = fit_surface(n, d, truth.loss(n, d) * np.exp(0.003 * rng.standard_normal(12)))
    assert warnings
    assert surface is None or any("tokens per parameter hardly vary" in w for w in warnings)
    if jitter == 0:
        assert surface is None
        assert "one ray" in warnings[0]


def test_too_few_rows_or_runs(truth):
    frame = truth.ladder(sizes=3, budgets=(1e17, 1e18))
    assert fit_surface(*columns(frame.iloc[:5]))[0] is None
    surface, warnings = fit_surface(*columns(truth.ladder(seed=0, sd=0.001)), np.arange(35) % 5)
    assert surface is None or (surface.intervals == {} and any("too few for intervals" in w for w in warnings))


def test_clustering_by_run_widens_when_rows_share_an_error(truth):
    rng = np.random.default_rng(0)
    frame = pd.concat([truth.ladder(step=2.0)] * 4, ignore_index=True)
    runs = np.tile(np.arange(35), 4)
    frame["loss"] *= np.exp(0.003 * rng.standard_normal(35))[runs]
    alone, _ = fit_surface(*columns(frame), method="hc3")
    grouped, _ = fit_surface(*columns(frame), runs, method="hc3")
    width = [s.intervals["params_exponent"].high - s.intervals["params_exponent"].low for s in (alone, grouped)]
    assert width[1] > 1.6 * width[0]
    assert "clustered by run" in grouped.intervals["E"].kind


def test_floor_that_data_cannot_see_is_said(truth):
    frame = truth.ladder(seed=0, sd=0.01, budgets=(1e18, 2e18))
    _, warnings = fit_surface(*columns(frame))
    assert any("E is not identified" in w for w in warnings)


def test_rows_early_in_a_run_are_left_out(truth):
    frame = table_from_frame(truth.curves()).frame
    assert surface_rows(frame, [1e17])["flops"].min() >= 0.98e17
    kept = surface_rows(frame)
    assert (kept["tokens"] >= 0.1 * kept.groupby("run")["tokens"].transform("max")).all()
    assert len(kept) < len(frame)
    single = table_from_frame(truth.ladder()).frame
    assert len(surface_rows(single, [5e18])) == len(single)


def test_a_plateau_is_no_surface():
    """Losses that stay flat and then fall by size-dependent amounts are not additive; the fit must say so or refuse."""
    rng = np.random.default_rng(0)
    n = np.repeat([1e4, 3e4, 1e5, 3e5], 6)
    d = np.tile(np.geomspace(1e5, 1e7, 6), 4)
    y = 4.8 - 1.2 * np.clip(np.log(d / (2e6 * (n / 1e5) ** -0.5)), 0, None) * rng.uniform(0.3, 1.0, len(n))
    surface, warnings = fit_surface(n, d, y)
    assert surface is None or surface.rmse_log < y.std()
    assert any("misses the losses" in w for w in warnings)
