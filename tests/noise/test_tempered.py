"""Duo's curriculum draw: its laws against the operator, the dense definition and closed forms."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from difflaw.noise.gaussian import evaluate
from difflaw.noise.tempered import _log_tail_mean, argmax_pair, tempered, tempered_dense

B, L = 40, 1000
ROWS = range(B)


def tokens(vocab_size: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, vocab_size, (B, L))


def hit_rate(gamma: float, k: int) -> float:
    return (1.0 + (k - 1) * float(evaluate(gamma, k).alpha)) / k


def assert_same_mean(one: np.ndarray, other: np.ndarray, slack: float = 0.0) -> None:
    error = math.hypot(float(one.std()) / math.sqrt(one.size), float(other.std()) / math.sqrt(other.size))
    assert abs(float(one.mean() - other.mean())) < 4.5 * error + slack


@pytest.mark.parametrize(("k", "gamma"), [(2, 0.0), (3, -1.0), (50, -2.0), (50, 2.0), (50_257, -3.0), (131_072, -2.2)])
def test_z_is_clean_as_often_as_the_operator_says(k: int, gamma: float) -> None:
    x, p = tokens(k), hit_rate(gamma, k)
    z = tempered(x, gamma, 1e-3, ROWS, 3, k, 2).z
    assert abs((z == x).mean() - p) < 4.5 * math.sqrt(p * (1 - p) / z.size)


@pytest.mark.parametrize("top_k", [1, 2, 5, 7])
def test_other_ids_are_uniform_at_every_rank(top_k: int) -> None:
    """χ² over the ids other than x, by rank among the other entries: a biased order of ids would show here."""
    k, x = 7, tokens(7)
    ids = tempered(x, 0.5, 0.3, ROWS, 11, k, top_k).ids
    for rank in range(top_k):
        wrong = ids[..., rank] != x
        offset = (ids[..., rank] - x)[wrong] % k  # 1 … K-1, each alike
        counts = np.bincount(offset, minlength=k)
        assert counts[0] == 0
        assert stats.chisquare(counts[1:]).pvalue > 1e-4, rank
    if top_k == k:
        assert np.array_equal(np.sort(ids, -1), np.broadcast_to(np.arange(k), (B, L, k)))


def test_ordered_pairs_of_other_ids_are_uniform() -> None:
    k, x = 6, np.full((B, L), 2)
    ids = tempered(x, 40.0, 1.0, ROWS, 1, k, 3).ids
    keep = (ids[..., :2] != 2).all(-1)
    counts = np.zeros((k, k))
    np.add.at(counts, tuple(ids[keep][:, :2].T), 1)
    pairs = [counts[i, j] for i in range(k) for j in range(k) if i != j and 2 not in (i, j)]
    assert stats.chisquare(pairs).pvalue > 1e-4
    assert sum(pairs) == keep.sum()


@pytest.mark.parametrize("top_k", [1, 2, 8, 64])
def test_ids_are_distinct_and_weights_fall(top_k: int) -> None:
    x = tokens(131_072)
    draw = tempered(x[:4], -2.5, 0.05, range(4), 7, 131_072, top_k)
    assert draw.ids.shape == draw.weights.shape == (4, L, top_k)
    assert (np.diff(np.sort(draw.ids, -1), axis=-1) > 0).all()
    assert draw.ids.min() >= 0
    assert draw.ids.max() < 131_072
    assert (np.diff(draw.weights, axis=-1) <= 0).all()
    assert np.array_equal(draw.z, draw.ids[..., 0])
    np.testing.assert_allclose(draw.weights.sum(-1) + draw.rest, 1.0, atol=1e-14)


@pytest.mark.parametrize("tau", [1e-3, 1e-2, 0.1, 1.0])
@pytest.mark.parametrize("gamma", [-2.5, -1.0])
@pytest.mark.parametrize(("top_k", "slack"), [(2, 4e-3), (8, 1.5e-3), (50, 0.0)])
def test_weights_have_the_moments_of_the_dense_definition(tau: float, gamma: float, top_k: int, slack: float) -> None:
    """Mean and mean square of each weight; only the mass that is not drawn is approximate, most near τ = 0.1, k = 2."""
    k, x = 50, tokens(50)
    draw, dense = tempered(x, gamma, tau, ROWS, 2, k, top_k), tempered_dense(x, gamma, tau, ROWS, 9, k)
    largest = np.sort(dense.weights, -1)[..., ::-1]
    for rank in range(min(top_k, 8)):
        assert_same_mean(draw.weights[..., rank], largest[..., rank], slack)
        assert_same_mean(draw.weights[..., rank] ** 2, largest[..., rank] ** 2, 2 * slack)
    assert_same_mean(draw.rest, 1.0 - largest[..., :top_k].sum(-1), slack + 1e-12)
    # what x itself keeps, where it is among the drawn: the place of x is exact
    of_x = np.where(draw.ids == x[..., None], draw.weights, 0.0).sum(-1)
    order = np.argsort(-dense.weights, -1)[..., :top_k]
    dense_of_x = np.where(order == x[..., None], largest[..., :top_k], 0.0).sum(-1)
    assert_same_mean(of_x, dense_of_x, slack)


def test_all_entries_drawn_is_exact_in_distribution() -> None:
    """top_k = K: the largest weight has the law of the dense one, not only its moments (Kolmogorov-Smirnov)."""
    k, x = 20, tokens(20)
    draw, dense = tempered(x, -1.5, 0.2, ROWS, 4, k, k), tempered_dense(x, -1.5, 0.2, ROWS, 8, k)
    assert stats.ks_2samp(draw.weights[..., 0].ravel(), dense.weights.max(-1).ravel()).pvalue > 1e-4
    assert stats.ks_2samp(draw.weights[..., -1].ravel(), dense.weights.min(-1).ravel()).pvalue > 1e-4
    assert np.abs(draw.rest).max() == 0.0


@pytest.mark.parametrize("k", [2, 50, 131_072])
@pytest.mark.parametrize("gamma", [-12.0, -2.5, 12.0])
def test_cold_softmax_is_the_argmax(k: int, gamma: float) -> None:
    for top_k in (1, 2):
        draw = tempered(tokens(k), gamma, 1e-10, ROWS, 0, k, top_k)
        assert np.isfinite(draw.weights).all()
        assert np.isfinite(draw.rest).all()
        assert (draw.weights[..., 0] > 1 - 1e-6).all()  # two entries within 15τ: less than once in 1e7 tokens
    if k < 100:
        assert tempered_dense(tokens(k), gamma, 1e-10, ROWS, 0, k).weights.max(-1).min() > 1 - 1e-6


def test_hot_softmax_is_uniform() -> None:
    draw = tempered(tokens(50), -1.0, 1e8, ROWS, 0, 50, 3)
    np.testing.assert_allclose(draw.weights, 1 / 50, rtol=1e-6)
    np.testing.assert_allclose(draw.rest, 47 / 50, rtol=1e-6)


@pytest.mark.parametrize("sharpness", [1e-3, 0.7, 3.0, 30.0, 500.0, 1e9])
@pytest.mark.parametrize("cut", [-3.0, 0.1, 4.2])
def test_mean_of_the_unseen_against_its_integral(sharpness: float, cut: float) -> None:
    """E[e^{s(X - cut)} | X < cut] = ∫_0^∞ e^{-su} φ(cut - u) du / Φ(cut)."""
    with mp.workdps(25):
        width = 1 / (sharpness + 1)
        pieces = [0, *(mp.mpf(width) * 2**j for j in range(-2, 6)), 40 if width > 0.01 else 80 * width]
        value = mp.quad(lambda u: mp.exp(-sharpness * u) * mp.npdf(cut - u), sorted(pieces)) / mp.ncdf(cut)
    found = float(_log_tail_mean(np.array(sharpness), np.array(cut), np.array(cut)))
    assert found == pytest.approx(float(mp.log(value)), abs=1e-9)


def test_z_is_one_draw_whatever_is_asked_of_it() -> None:
    """Neither τ nor top_k moves z, and a row depends on its own index alone."""
    x = tokens(97)
    gamma = np.random.default_rng(2).uniform(-4, 1, (B, L))
    whole = tempered(x, gamma, 1e-3, ROWS, 5, 97, 4)
    for tau, top_k in ((1.0, 4), (1e-3, 1), (0.1, 97)):
        other = tempered(x, gamma, tau, ROWS, 5, 97, top_k)
        assert np.array_equal(other.z, whole.z)
        assert np.array_equal(other.ids[..., : min(top_k, 4)], whole.ids[..., : min(top_k, 4)])
    part = tempered(x[7:9], gamma[7:9], 1e-3, [7, 8], 5, 97, 4)
    assert np.array_equal(part.ids, whole.ids[7:9])
    assert np.array_equal(part.weights, whole.weights[7:9])
    assert np.array_equal(argmax_pair(x, gamma, gamma - 1.0, ROWS, 5, 97)[0], whole.z)
    for seed, rows in ((6, ROWS), (5, range(B, 2 * B))):
        assert not np.array_equal(tempered(x, gamma, 1e-3, rows, seed, 97, 4).z, whole.z)
    dense = tempered_dense(x, gamma, 0.1, ROWS, 5, 97)
    assert np.array_equal(tempered_dense(x[7:9], gamma[7:9], 0.1, [7, 8], 5, 97).weights, dense.weights[7:9])


@pytest.mark.parametrize(
    ("k", "gamma_t", "gamma_s"), [(2, 1.0, -1.0), (30, -1.0, -2.0), (30, -1.5, -1.6), (500, -2, -3)]
)
def test_argmax_pair_has_the_joint_law_of_explicit_noise(k: int, gamma_t: float, gamma_s: float) -> None:
    x = tokens(k)
    z_t, z_s = argmax_pair(x, gamma_t, gamma_s, ROWS, 3, k)
    for z, gamma in ((z_t, gamma_t), (z_s, gamma_s)):
        p = hit_rate(gamma, k)
        assert abs((z == x).mean() - p) < 4.5 * math.sqrt(p * (1 - p) / x.size)
    assert (z_s == x)[z_t == x].all()  # less of the same noise never destroys a token that survived more
    assert (z_s == z_t)[z_s != x].all()
    rng, n = np.random.default_rng(8), 40_000
    joint = np.zeros((2, 2))
    for _ in range(20):
        noise = rng.standard_normal((n // 20, k))
        clean = []
        for gamma in (gamma_t, gamma_s):
            w = math.sqrt(1 / (1 + math.exp(-gamma))) * noise
            w[:, 0] += math.sqrt(1 / (1 + math.exp(gamma)))
            clean.append((w.argmax(-1) == 0).astype(int))
        np.add.at(joint, tuple(clean), 1)
    found = np.array([[((z_t == x) == a).ravel() & ((z_s == x) == b).ravel() for b in (0, 1)] for a in (0, 1)]).mean(-1)
    p = (found + joint / n) / 2
    assert (np.abs(found - joint / n) <= 4.5 * np.sqrt(p * (1 - p) * (1 / n + 1 / x.size))).all()


def test_argmax_pair_of_one_gamma_is_one_draw() -> None:
    z_t, z_s = argmax_pair(tokens(97), -2.0, -2.0, ROWS, 1, 97)
    assert np.array_equal(z_t, z_s)


X = np.zeros((2, 3), dtype=np.int64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tempered(X, -2.0, 0.1, [0, 1], 0, 97, 0), "top_k"),
        (lambda: tempered(X, -2.0, 0.1, [0, 1], 0, 97, 98), "top_k"),
        (lambda: tempered(X, -2.0, 0.0, [0, 1], 0, 97, 2), "tau"),
        (lambda: tempered(X, -2.0, math.nan, [0, 1], 0, 97, 2), "tau"),
        (lambda: tempered(X + 97, -2.0, 0.1, [0, 1], 0, 97, 2), "ids below"),
        (lambda: tempered(X + 0.5, -2.0, 0.1, [0, 1], 0, 97, 2), "ids below"),
        (lambda: tempered(X, -2.0, 0.1, [0], 0, 97, 2), "one index a row"),
        (lambda: tempered(X, np.zeros((2, 5)), 0.1, [0, 1], 0, 97, 2), "broadcast"),
        (lambda: tempered(X, math.inf, 0.1, [0, 1], 0, 97, 2), "gamma must be finite"),
        (lambda: tempered_dense(X, -2.0, -0.1, [0, 1], 0, 97), "tau"),
        (lambda: tempered_dense(X, -2.0, 0.1, [0, 1], 0, 1), "vocab_size"),
        (lambda: argmax_pair(X, -3.0, -2.0, [0, 1], 0, 97), "gamma_s"),
    ],
)
def test_bad_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
