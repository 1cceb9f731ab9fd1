"""Duo's curriculum draw: the argmax and the tempered softmax of a Gaussian latent, from its largest entries alone.

w = α̃·onehot(x) + σ̃·ε over K ids; z = argmax w is the noisy token, softmax(w/τ) what the network reads instead of it.
Only the k largest entries are drawn (Duo, Chapter II; its code: algo.py): in units of σ̃ the entries other than x are
K - 1 standard normals whatever γ and x are, so their order statistics are products of powers of uniforms, their ids are
uniform without replacement, and x's entry μ + ε_x, μ = e^{-γ/2}, is put in its place. Shapes: B samples, L tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtri, ndtri_exp

from difflaw.noise.clock import sigmoid
from difflaw.noise.streams import Stream, generator, uniforms

_TINY = 2.0**-54
"""Stands for a uniform draw of exactly 0, half the spacing of the draws: no logarithm is infinite."""


@dataclass(frozen=True)
class TemperedDraw:
    """One latent a token: its argmax and the heavy part of its softmax. Arrays are int64 and float64."""

    z: np.ndarray
    """(B, L): argmax w, equal to ``ids[..., 0]``."""
    ids: np.ndarray
    """(B, L, k): distinct ids, largest entry first."""
    weights: np.ndarray
    """(B, L, k): softmax(w/τ) at those ids, not increasing."""
    rest: np.ndarray
    """(B, L): the mass of all other ids; weights and rest sum to 1."""


@dataclass(frozen=True)
class DenseDraw:
    """The same with every weight, for small K."""

    z: np.ndarray
    """(B, L): argmax w."""
    weights: np.ndarray
    """(B, L, K): softmax(w/τ)."""


def tempered(
    x: np.ndarray,
    gamma: np.ndarray | float,
    tau: float,
    index: Sequence[int] | np.ndarray,
    seed: int,
    vocab_size: int,
    top_k: int,
) -> TemperedDraw:
    """Draw z and the ``top_k`` largest entries of softmax(w/τ) for tokens x (B, L), row i from (seed, index[i]) alone.

    ``gamma`` broadcasts to (B, L). z and the order of ids are exact draws and depend on neither τ nor ``top_k``; the
    weights are exact but for their common denominator, where the entries that are not drawn count by their mean given
    that they are smaller than the drawn ones. Raises ValueError for ids outside the vocabulary, 1 ≤ top_k ≤ K or τ > 0
    not met, or shapes that do not fit.
    """
    if not 1 <= top_k <= vocab_size:
        raise ValueError(f"top_k must lie in [1, {vocab_size}], the size of the vocabulary, got {top_k}")
    x, gamma = _checked(x, gamma, tau, index, vocab_size)
    drawn = min(top_k, vocab_size - 1)
    noise_x, others, ids = _largest(x, index, seed, vocab_size, drawn)

    # x's entry goes to its place among the others; one entry may fall out, and is known exactly
    entry = np.exp(-gamma / 2.0) + noise_x
    place = (others > entry[..., None]).sum(-1, keepdims=True)
    slot = np.arange(drawn + 1)
    before, after = others.take(np.minimum(slot, drawn - 1), -1), others.take(np.maximum(slot - 1, 0), -1)
    ids_before, ids_after = ids.take(np.minimum(slot, drawn - 1), -1), ids.take(np.maximum(slot - 1, 0), -1)
    values = np.where(slot < place, before, np.where(slot == place, entry[..., None], after))
    ids = np.where(slot < place, ids_before, np.where(slot == place, x[..., None], ids_after))

    sharpness = np.sqrt(sigmoid(gamma)) / tau
    top = values[..., 0]
    mass = np.exp(sharpness[..., None] * (values - top[..., None]))
    unseen = vocab_size - 1 - drawn
    tail = unseen * np.exp(_log_tail_mean(sharpness, others[..., -1], top)) if unseen else 0.0
    rest = mass[..., top_k:].sum(-1) + tail
    total = mass[..., :top_k].sum(-1) + rest
    ids = ids[..., :top_k]
    return TemperedDraw(ids[..., 0], ids, mass[..., :top_k] / total[..., None], rest / total)


def tempered_dense(
    x: np.ndarray,
    gamma: np.ndarray | float,
    tau: float,
    index: Sequence[int] | np.ndarray,
    seed: int,
    vocab_size: int,
) -> DenseDraw:
    """Draw all K entries of w: the definition itself, B·L·K normals. Arguments and errors as in ``tempered``.

    The law of the draw is that of ``tempered``; the numbers of one seed are not.
    """
    x, gamma = _checked(x, gamma, tau, index, vocab_size)
    latent = np.stack(
        [generator(seed, Stream.TEMPERED, int(i)).standard_normal((x.shape[1], vocab_size)) for i in index]
    )
    here = x[..., None]
    np.put_along_axis(latent, here, np.take_along_axis(latent, here, -1) + np.exp(-gamma / 2.0)[..., None], -1)
    sharpness = np.sqrt(sigmoid(gamma)) / tau
    mass = np.exp(sharpness[..., None] * (latent - latent.max(-1, keepdims=True)))
    return DenseDraw(latent.argmax(-1), mass / mass.sum(-1, keepdims=True))


def argmax_pair(
    x: np.ndarray,
    gamma_t: np.ndarray | float,
    gamma_s: np.ndarray | float,
    index: Sequence[int] | np.ndarray,
    seed: int,
    vocab_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """z_t and z_s (B, L) of one noise ε at γ_t ≥ γ_s: the pair that distillation compares (2506.10892 §4).

    The best id other than x is the same at both, so where z_t = x also z_s = x. z_t is the z of ``tempered`` with the
    same x, γ, index and seed. Raises ValueError as ``tempered`` does, and where γ_s > γ_t.
    """
    x, gamma_t = _checked(x, gamma_t, 1.0, index, vocab_size)
    _, gamma_s = _checked(x, gamma_s, 1.0, index, vocab_size)
    if (gamma_s > gamma_t).any():
        raise ValueError("gamma_s must not exceed gamma_t: s is the time with less noise")
    noise_x, others, ids = _largest(x, index, seed, vocab_size, 1)
    z_t, z_s = (
        np.where(np.exp(-gamma / 2.0) + noise_x >= others[..., 0], x, ids[..., 0]) for gamma in (gamma_t, gamma_s)
    )
    return z_t, z_s


def _largest(
    x: np.ndarray, index: Sequence[int] | np.ndarray, seed: int, vocab_size: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ε_x (B, L), and the ``count`` largest of the K - 1 other ε, falling, with their ids (B, L, count).

    The first draws do not depend on ``count``.
    """
    u = uniforms(seed, Stream.TEMPERED, index, 1 + 2 * count, x.shape[1])
    noise_x = ndtri(np.maximum(u[:, 0], _TINY))
    # Uniform order statistics U_(1) = U_1^{1/n}, U_(j+1) = U_(j)·U_{j+1}^{1/(n-j)}, n = K - 1, in logarithms
    log_u = np.log(np.maximum(np.moveaxis(u[:, 1::2], 1, -1), _TINY))
    largest = ndtri_exp(np.cumsum(log_u / (vocab_size - 1 - np.arange(count)), axis=-1))
    return noise_x, largest, _distinct(x, np.moveaxis(u[:, 2::2], 1, -1), vocab_size)


def _distinct(x: np.ndarray, u: np.ndarray, vocab_size: int) -> np.ndarray:
    """Ids (B, L, count) from uniforms of that shape: each uniform over all ids but x and the ones before it.

    The i-th is the r-th unused id, r uniform below K - 1 - i: counting up past the used ids in rising order.
    """
    used = x[..., None]
    picked = np.empty(u.shape, dtype=np.int64)
    for i in range(u.shape[-1]):
        free = vocab_size - 1 - i
        token = np.minimum((u[..., i] * free).astype(np.int64), free - 1)
        for taken in np.moveaxis(np.sort(used, -1), -1, 0):
            token = token + (token >= taken)
        picked[..., i] = token
        used = np.concatenate([used, token[..., None]], -1)
    return picked


def _log_tail_mean(sharpness: np.ndarray, cut: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Log E[e^{s(X - top)} | X < cut] for a standard normal X, s > 0 up to any size, cut ≤ top.

    s²/2 + log Φ(cut - s) - log Φ(cut) - s·top; where cut < s, Φ is written by erfcx, which takes s²/2 out exactly.
    """
    gap = (sharpness - cut) / math.sqrt(2.0)
    with np.errstate(over="ignore"):  # the branch that is not taken
        below = sharpness * (cut - top) - cut**2 / 2.0 + np.log(erfcx(np.maximum(gap, 0.0)) / 2.0)
        above = sharpness**2 / 2.0 - sharpness * top + log_ndtr(np.maximum(cut - sharpness, 0.0))
    return np.where(gap > 0.0, below, above) - log_ndtr(cut)


def _checked(
    x: np.ndarray, gamma: np.ndarray | float, tau: float, index: Sequence[int] | np.ndarray, vocab_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """X as int64 and γ as float64, both (B, L), or ValueError."""
    x = np.asarray(x)
    if vocab_size < 2:
        raise ValueError(f"vocab_size must be at least 2, got {vocab_size}")
    if x.ndim != 2 or len(index) != len(x):
        raise ValueError(f"x must be (B, L) with one index a row, got {x.shape} and {len(index)} indices")
    if x.dtype.kind not in "iu" or (x.size and not (x.min() >= 0 and x.max() < vocab_size)):
        raise ValueError(f"x must hold ids below vocab_size = {vocab_size}")
    if not (math.isfinite(tau) and tau > 0.0):
        raise ValueError(f"tau must be positive and finite, got {tau}")
    gamma = np.asarray(gamma, dtype=np.float64)
    if not np.isfinite(gamma).all():
        raise ValueError("gamma must be finite")
    try:
        return x.astype(np.int64), np.broadcast_to(gamma, x.shape)
    except ValueError:
        raise ValueError(f"gamma of shape {gamma.shape} does not broadcast to x of shape {x.shape}") from None
