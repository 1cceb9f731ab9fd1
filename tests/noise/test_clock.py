"""The log-SNR clock against closed forms."""

import numpy as np
import pytest

from difflaw.noise.clock import LogSnrRange, sigmoid


def test_mass_is_the_logistic_probability_of_the_range() -> None:
    assert LogSnrRange().mass == pytest.approx(np.tanh(4.5), abs=1e-15)  # σ(9) - σ(-9) = tanh(9/2)


def test_uniform_draws_have_the_density_p() -> None:
    span = LogSnrRange()
    lam = span.from_uniform((np.arange(200_000) + 0.5) / 200_000)
    for quantile in (-4.0, -1.0, 0.0, 2.0):
        expected = (sigmoid(9.0) - sigmoid(quantile)) / span.mass
        assert np.mean(lam > quantile) == pytest.approx(expected, abs=1e-5)


def test_ends_of_the_range() -> None:
    span = LogSnrRange()
    assert span.from_uniform(np.array([0.0]))[0] == pytest.approx(9.0)
    assert span.from_uniform(np.array([1.0 - 1e-16]))[0] == pytest.approx(-9.0, abs=1e-6)


def test_strata_hold_one_draw_each() -> None:
    span, order = LogSnrRange(), np.random.default_rng(0).permutation(64)
    lam, weight = span.stratified(64, 0.3, order)
    tau = (sigmoid(9.0) - sigmoid(lam)) / span.mass
    assert np.array_equal(np.floor((tau + np.sqrt(tau)) / 2 * 64).astype(int), order)
    assert weight.max() < 2


def test_weights_give_back_the_density_p() -> None:
    """Weighted means are means under p(λ): of 1, of λ > a, and of an integrand that grows as 1/τ."""
    span, n = LogSnrRange(), 20_000
    lam, weight = span.stratified(n, 0.5, np.arange(n))
    tau = (sigmoid(9.0) - sigmoid(lam)) / span.mass
    assert weight.mean() == pytest.approx(1.0, abs=1e-4)
    assert (weight * (lam > 1.0)).mean() == pytest.approx((sigmoid(9.0) - sigmoid(1.0)) / span.mass, abs=1e-3)
    assert (weight * tau).mean() == pytest.approx(0.5, abs=1e-4)
    assert (weight / np.sqrt(tau)).mean() == pytest.approx(2.0, abs=1e-2)


def test_golden_schedule_maps(shared) -> None:
    golden = np.load(shared / "golden/gidd_loss/schedule_maps.npz")
    span = LogSnrRange()
    t, expected = golden["time"].astype(np.float64), golden["log_snr_from_time"]
    t_min = 1.0 - sigmoid(9.0)
    ours = span.from_uniform(np.clip((t - t_min) / span.mass, 0.0, 1.0))
    tolerance = np.where(np.abs(expected) > 8, 1e-3, 1e-5 * np.abs(expected) + 1e-6)
    assert np.all(np.abs(ours - expected) <= tolerance)
    assert t_min == pytest.approx(float(golden["t_min"]), rel=2e-4)


def test_a_range_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="low < high"):
        LogSnrRange(3.0, 3.0)
