"""Duo's operator α = T(α̃) against closed forms, other quadratures, simulation and the published code's numbers."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate
from scipy.special import log_ndtr
from scipy.stats import norm

from difflaw.noise.gaussian import GaussianOperator, _table, evaluate, series

SIZES = [2, 3, 97, 50_257, 131_072]


def hit_rate(alpha: np.ndarray, k: int) -> np.ndarray:
    """P from α: P = (1 + (K - 1)·α)/K."""
    return (1.0 + (k - 1) * alpha) / k


def test_two_ids_have_a_closed_form() -> None:
    """K = 2: P = Φ(μ/√2), so α = 2P - 1, 1 - α = 2Φ(-μ/√2), dP/dμ = φ(μ/√2)/√2, at any γ in logarithms."""
    gamma = np.linspace(-12, 12, 97)
    mu, values = np.exp(-gamma / 2), evaluate(gamma, 2)
    assert np.abs(values.alpha - (2 * norm.cdf(mu / math.sqrt(2)) - 1)).max() < 1e-14
    np.testing.assert_allclose(values.log_noise, math.log(2) + log_ndtr(-mu / math.sqrt(2)), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(
        values.log_decay, np.log(mu) - mu**2 / 4 - math.log(4 * math.pi) / 2, rtol=1e-14, atol=1e-14
    )
    np.testing.assert_allclose(
        values.log_alpha[gamma > 0], np.log([math.erf(m / 2) for m in mu[gamma > 0]]), rtol=1e-13
    )


@pytest.mark.parametrize("k", [3, 97, 131_072])
@pytest.mark.parametrize("gamma", [-4.5, -2.5, -1.0, 12.0])
def test_against_thirty_digits(k: int, gamma: float) -> None:
    """α, 1 - α and dα/dγ from the definitions, to 1e-12 relative each."""
    with mp.workdps(30):
        mu = mp.exp(-mp.mpf(gamma) / 2)
        panels = [mp.mpf(i) for i in range(-12, int(mu) + 14)]
        p = mp.quad(lambda z: mp.npdf(z - mu) * mp.ncdf(z) ** (k - 1), panels)
        dp = mp.quad(lambda z: -mu / 2 * (z - mu) * mp.npdf(z - mu) * mp.ncdf(z) ** (k - 1), panels)
        expected = [(k * p - 1) / (k - 1), k * (1 - p) / (k - 1), -k * dp / (k - 1)]
        values = evaluate(gamma, k)
        for name, want in zip(("log_alpha", "log_noise", "log_decay"), expected, strict=True):
            assert abs(mp.exp(float(getattr(values, name))) / want - 1) < 1e-12, name


@pytest.mark.parametrize("k", [5, 32_001])
def test_against_adaptive_quadrature(k: int) -> None:
    for gamma in (-4.0, -2.0, 0.0):
        mu = math.exp(-gamma / 2)
        p = integrate.quad(
            lambda z, mu=mu: norm.pdf(z - mu) * np.exp((k - 1) * log_ndtr(z)), -10, mu + 10, limit=500, epsabs=1e-13
        )[0]
        assert hit_rate(evaluate(gamma, k).alpha, k) == pytest.approx(p, abs=1e-11)


@pytest.mark.parametrize("k", SIZES)
def test_derivative_is_the_slope_of_alpha(k: int) -> None:
    gamma, h = np.linspace(-6, 6, 49), 1e-3
    at = {step: evaluate(gamma + step * h, k).log_snr for step in (-2, -1, 1, 2)}
    slope = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
    np.testing.assert_allclose(evaluate(gamma, k).log_snr_slope, slope, rtol=1e-8)


@pytest.mark.parametrize(("k", "gamma"), [(3, 1.0), (97, -1.5), (2000, -2.5)])
def test_argmax_of_a_simulated_latent(k: int, gamma: float) -> None:
    n, rng = 40_000, np.random.default_rng(k)
    mu, hits = math.exp(-gamma / 2), 0
    for _ in range(20):
        noise = rng.standard_normal((n // 20, k), dtype=np.float32)
        hits += int((noise[:, 0] + mu > noise[:, 1:].max(-1)).sum())
    p = float(hit_rate(evaluate(gamma, k).alpha, k))
    assert abs(hits / n - p) < 4.5 * math.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("k", SIZES)
def test_table_is_as_exact_as_the_quadrature(k: int) -> None:
    gamma = np.random.default_rng(3).uniform(-12, 12, 3001)
    operator, values = GaussianOperator(k, -12.0, 12.0), evaluate(gamma, k)
    assert np.abs(operator.alpha(gamma) - values.alpha).max() < 1e-12
    assert np.abs(operator.derivative(gamma) - values.derivative).max() < 1e-12
    np.testing.assert_allclose(operator.log_snr(gamma), values.log_snr, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(operator.log_snr_slope(gamma), values.log_snr_slope, rtol=1e-10)
    np.testing.assert_allclose(operator.gamma(values.log_snr), gamma, atol=1e-11)


def test_both_ends_keep_their_digits() -> None:
    """Where float64 has α = 1 or α = 1e-17, the log-SNR still follows its asymptote."""
    operator = GaussianOperator(50_257, -12.0, 70.0)
    # 1 - α → K·Φ(-μ/√2) for large μ, and α → μ·K·m_1/(K - 1) for small μ: λ falls by 1/2 per unit of γ
    mu = math.exp(6.0)
    assert float(operator.log_snr(-12.0)) == pytest.approx(-math.log(50_257) - float(log_ndtr(-mu / 2**0.5)), rel=1e-13)
    assert float(operator.alpha(-12.0)) == 1.0
    assert float(operator.log_snr(70.0) - operator.log_snr(60.0)) == pytest.approx(-5.0, abs=1e-9)
    assert float(operator.alpha(70.0)) < 1e-17


def test_clock_is_linear_and_shapes_are_kept() -> None:
    operator = GaussianOperator(97, -3.5, -1.75)
    assert np.array_equal(operator.gamma_at(np.array([0.0, 1.0])), [-3.5, -1.75])
    assert float(operator.gamma_at(0.25)) == pytest.approx(-3.0625)
    gamma = operator.gamma_at(np.random.default_rng(0).random((3, 5)))
    results = [
        operator.alpha(gamma),
        operator.derivative(gamma),
        operator.log_snr(gamma),
        operator.gamma(operator.log_snr(gamma)),
    ]
    assert all(r.shape == (3, 5) and r.dtype == np.float64 for r in results)
    assert operator.alpha(-2.0).shape == ()
    float32_end = np.float32(operator.log_snr(-3.5))
    assert float(operator.gamma(np.nextafter(float32_end, np.float32(99)))) == -3.5


def test_table_is_made_once() -> None:
    made = _table.cache_info().misses
    for _ in range(3):
        GaussianOperator(61, -3.25, -1.5).alpha(-2.0)
    assert _table.cache_info().misses == made + 1


def test_golden_published_cache(shared) -> None:
    """GPT-2's integral cache: rounded to its grid of 1e5 γ; its finite difference of α is off by up to 4 %."""
    golden = np.load(shared / "golden/duo/curriculum.npz")
    k, low, high = int(golden["gpt2_vocab"]), float(golden["gamma_min"]), float(golden["gamma_max"])
    operator, gamma = GaussianOperator(k, low, high), golden["gamma"]
    alpha, derivative = operator.alpha(gamma), operator.derivative(gamma)
    assert np.abs(hit_rate(alpha, k) - golden["pt"]).max() < 2e-5
    assert np.abs(alpha - golden["alpha"]).max() < 2e-5
    assert np.abs(derivative * (k - 1) / k - golden["grad_pt"]).max() < 5e-5
    by_clock = (derivative * (high - low))[:-1]  # the reference is exactly 0 at γ_max
    assert np.abs(by_clock / golden["dalpha"][:-1] - 1).max() < 0.05


def test_golden_quadrature(shared) -> None:
    golden = np.load(shared / "golden/duo/curriculum.npz")
    gamma, values = golden["v97_gamma"], evaluate(golden["v97_gamma"], 97)
    # At γ = -6.17 the reference's adaptive quadrature missed the peak: P = 1e-9 between neighbours of 1 - 1e-15
    missed = (gamma < -6) & (golden["v97_pt"] < 0.5)
    assert missed.sum() == 1
    assert np.abs(hit_rate(values.alpha, 97) - golden["v97_pt"])[~missed].max() < 1e-9
    assert np.abs(values.derivative * 96 / 97 - golden["v97_grad_pt"]).max() < 1e-9


def test_golden_series(shared) -> None:
    golden = np.load(shared / "golden/duo/curriculum.npz")
    alpha, derivative = series(golden["v97_series_gamma"].astype(np.float64), 97, terms=60)
    assert np.abs(alpha - golden["v97_series_alpha"]).max() < 1e-9
    assert np.abs(2.5 * derivative - golden["v97_series_dalpha"]).max() < 1e-9  # by the clock of γ in [-3.5, -1]


@pytest.mark.parametrize("k", SIZES)
def test_series_agrees_with_quadrature(k: int) -> None:
    gamma = np.linspace(-4, 6, 60)
    alpha, derivative = series(gamma, k)
    values = evaluate(gamma, k)
    assert np.abs(alpha - values.alpha).max() < 1e-12
    assert np.abs(derivative - values.derivative).max() < 1e-11


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GaussianOperator(1, -4.0, -1.0), "vocab_size"),
        (lambda: GaussianOperator(97, -1.0, -4.0), "gamma range"),
        (lambda: GaussianOperator(97, -math.inf, -1.0), "gamma range"),
        (lambda: GaussianOperator(97, -4.0, -1.0).alpha(-0.5), r"gamma must lie in \[-4.0, -1.0\]"),
        (lambda: GaussianOperator(97, -4.0, -1.0).alpha(math.nan), "gamma must lie"),
        (lambda: GaussianOperator(97, -4.0, -1.0).gamma(np.array([0.0, 50.0])), "log_snr must lie"),
        (lambda: evaluate(math.nan, 97), "finite"),
        (lambda: evaluate(0.0, 1), "vocab_size"),
        (lambda: series(0.0, 97, terms=1), "terms"),
    ],
)
def test_bad_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
