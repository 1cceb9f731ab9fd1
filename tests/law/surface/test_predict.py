"""Three kinds of interval, by every method, and joint draws that agree with them."""

import json

import numpy as np
import pytest

from difflaw.errors import InputError
from difflaw.law import fit_surface
from difflaw.law.power import hc3
from difflaw.law.records import plain as as_json
from difflaw.law.results import HoldOut
from difflaw.law.surface.bootstrap import bootstrap
from difflaw.law.surface.covariance import condition, equal_noise, sandwich
from difflaw.law.surface.forms import make_form
from difflaw.law.surface.minimum import canonical, find_minimum, mad_delta
from difflaw.law.surface.predict import loss_at, optimum, surface_draws


def columns(frame):
    return [frame[c].to_numpy() for c in ("params", "tokens", "loss")]


@pytest.fixture
def surface(truth):
    return fit_surface(*columns(truth.ladder(seed=2, sd=0.003, step=2.0)))[0]


def test_the_three_kinds_say_what_they_are_for(surface, truth):
    best = optimum(surface, 1e20)
    assert "for the law's N*" in best.params_interval.kind
    assert "for the mean loss of runs" in best.forecast.mean.kind
    assert "for one new run" in best.forecast.run.kind
    assert "run noise" in best.forecast.run.kind
    assert "for the surface's alpha" in surface.intervals["alpha"].kind
    assert best.params * best.tokens * 6 == pytest.approx(1e20)
    mean, run = best.forecast.mean, best.forecast.run
    assert run.low < mean.low < best.forecast.loss < mean.high < run.high
    assert best.params_interval.low < truth.best_size(1e20) < best.params_interval.high


def test_run_noise_does_not_shrink_with_more_runs(truth):
    widths = []
    for copies in (1, 9):
        frame = truth.ladder(seed=2, sd=0.003, step=2.0, budgets=tuple(np.geomspace(1e17, 1e19, 5 * copies)))
        found = loss_at(fit_surface(*columns(frame), method="hc3")[0], 1e8, 1e10)
        widths.append([np.log(i.high / i.low) for i in (found.mean, found.run)])
    assert widths[1][0] < 0.6 * widths[0][0]
    assert widths[1][1] > 4 * 0.0027


@pytest.mark.parametrize("method", ["delta", "hc3", "pairs", "parametric"])
def test_methods_agree_where_noise_is_equal(truth, method):
    data = columns(truth.ladder(seed=4, sd=0.003, step=2.0, sizes=13))
    reference = fit_surface(*data, delta=np.inf, method="delta")[0].intervals
    found = fit_surface(*data, delta=np.inf, method=method, noise_sd=0.003)[0].intervals
    for name in ("alpha", "beta", "params_exponent", "E"):
        ratio = (found[name].high - found[name].low) / (reference[name].high - reference[name].low)
        assert 0.7 < ratio < 1.45


def test_draws_agree_with_the_intervals(surface):
    draws = surface_draws(surface, 20_000, seed=1)
    best = optimum(surface, 1e20)
    size = draws.best_size(1e20)
    low, high = np.quantile(size, [0.025, 0.975])
    assert low == pytest.approx(best.params_interval.low, rel=0.03)
    assert high == pytest.approx(best.params_interval.high, rel=0.03)
    losses = draws.loss(size, 1e20 / 6 / size)
    low, high = np.quantile(losses, [0.025, 0.975])
    assert low == pytest.approx(best.forecast.mean.low, rel=0.003)
    assert high == pytest.approx(best.forecast.mean.high, rel=0.003)
    again = surface_draws(surface, 20_000, seed=1)
    np.testing.assert_array_equal(draws.alpha, again.alpha)


def test_order_of_rows_and_seed(truth):
    frame = truth.ladder(seed=2, sd=0.003)
    for method in ("hc3", "pairs"):
        texts = {
            json.dumps(as_json(fit_surface(*columns(f), method=method, resamples=300, seed=5)[0]))
            for f in (frame, frame.sample(frac=1, random_state=1), frame.iloc[::-1])
        }
        assert len(texts) == 1
    other = fit_surface(*columns(frame), method="pairs", resamples=300, seed=6)[0]
    assert json.dumps(as_json(other)) not in texts


def test_hold_out_widens_only_beyond_the_range(surface):
    known = HoldOut("free", {}, (), 0.02, 0.95, 0.8, 0.6, 10)
    top = surface.flops_range[1]
    for factor, wider in ((0.5, False), (100.0, True)):
        plain, wide = (optimum(surface, factor * top, hold_out=h).forecast.mean for h in (None, known))
        assert (wide.high - wide.low > 1.5 * (plain.high - plain.low)) == wider
        assert ("widened" in wide.kind) == wider


def test_far_forecasts_are_warned_of(surface):
    assert optimum(surface, 3e19).forecast.warnings == ()
    (text,) = optimum(surface, 3e20).forecast.warnings
    assert "times the largest run fitted" in text
    assert "run one cell near" in text
    (text,) = optimum(surface, 1e30).forecast.warnings
    assert "no interval is worth its digits" in text
    with pytest.raises(InputError):
        optimum(surface, -1.0)


def test_too_few_runs_have_no_draws(truth):
    surface, _ = fit_surface(*columns(truth.ladder(seed=0, sd=0.001)), np.arange(35) % 5)
    if surface is not None:
        with pytest.raises(InputError, match="no covariance"):
            surface_draws(surface)
        assert optimum(surface, 1e19).params_interval is None


def test_sandwich_is_hc3_for_squares_and_groups_runs():
    rng = np.random.default_rng(0)
    jac, residual = rng.standard_normal((30, 4)), rng.standard_normal(30)
    alone = sandwich(jac, residual, np.arange(30), np.inf)
    np.testing.assert_allclose(alone, hc3(jac, np.ones(30), residual), rtol=1e-9)
    # Whole runs left out: the difference of the fit without a run is (J'J)⁻¹ times the run's piece.
    cluster = np.repeat(np.arange(10), 3)
    fit = np.linalg.lstsq(jac, residual, rcond=None)[0]
    left = residual - jac @ fit
    shifts = [np.linalg.lstsq(jac[cluster != g], residual[cluster != g], rcond=None)[0] - fit for g in range(10)]
    np.testing.assert_allclose(sandwich(jac, left, cluster, np.inf), np.array(shifts).T @ np.array(shifts), rtol=1e-8)
    np.testing.assert_allclose(equal_noise(jac, 2.0), 2 * np.linalg.inv(jac.T @ jac), rtol=1e-9)
    assert condition(jac * [1, 1e-8, 1, 1]) == pytest.approx(condition(jac), rel=1e-6)


def test_bootstrap_refuses_what_it_cannot_do(truth):
    data = canonical(*columns(truth.ladder(seed=0, sd=0.003)))
    minimum = find_minimum(make_form(), data)
    with pytest.raises(InputError, match="noise_sd"):
        bootstrap(make_form(), data, minimum, kind="parametric")
    few = canonical(*columns(truth.ladder(seed=0, sd=0.003)), np.arange(35) % 5)
    with pytest.raises(InputError, match="cannot be resampled"):
        bootstrap(make_form(), few, minimum)
    with pytest.raises(InputError, match="no interval method"):
        fit_surface(*columns(truth.ladder()), method="magic")


def test_bootstrap_replays_the_published_errors(shared):
    """Not carried in tests/facts: the 245 published runs are others' data."""
    import pandas as pd

    frame = pd.read_csv(shared / "data" / "chinchilla_epoch" / "svg_extracted_data.csv")
    n, c, loss = (frame[k].to_numpy() for k in ("Model Size", "Training FLOP", "loss"))
    keep = loss < np.sort(loss)[-5]
    data = canonical(n[keep], c[keep] / 6 / n[keep], loss[keep])
    minimum = find_minimum(make_form(), data, 1e-3)
    refits = bootstrap(make_form(), data, minimum, count=3000)
    assert refits.settled == 1
    for values, error in ((refits.coefficients.alpha, 0.0154), (refits.coefficients.beta, 0.0206)):
        assert values.std() / refits.stretch == pytest.approx(error, rel=0.06)
    a = refits.coefficients.beta / (refits.coefficients.alpha + refits.coefficients.beta)
    assert np.quantile(a, [0.025, 0.975]) == pytest.approx([0.4805, 0.5561], abs=0.005)


def test_mad_delta_corrects_for_fitted_parameters():
    residual = np.random.default_rng(0).standard_normal(100_000)
    assert mad_delta(residual) == pytest.approx(1.345, rel=0.02)
    assert mad_delta(np.ones(10), 5) == 1e-8
    assert mad_delta(residual[:20], 5) == pytest.approx(mad_delta(residual[:20]) / np.sqrt(0.75))
