"""At which times training samples are noised: a time in [0, 1) a sample, a pure function of (seed, sample index).

``independent`` draws each from its own Philox stream. ``spread`` is van der Corput's sequence of the sample index, its
digits scrambled by seed (Owen, 1995): every stretch of consecutive samples covers [0, 1) evenly, each sample's time
alone is uniform over seeds, so the loss of a batch has the same mean and far less noise (docs/derivations.md#spread).

It is computed in 64-bit integers, so that it is the same on every machine. Shapes: B samples, C times each, J digits.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from difflaw.noise.streams import Stream, uniforms

NoiseLevels = Literal["independent", "spread"]

DIGITS = np.arange(53, dtype=np.uint64)
"""Places of the binary digits of a time, the first being worth ½; float64 holds so many exactly."""
_ONE = np.uint64(1)
_ODD = np.uint64(0x9E3779B97F4A7C15)


def times(rule: NoiseLevels, seed: int, index_B: np.ndarray, count: int = 1) -> np.ndarray:
    """``count`` times of each sample (blocks have one each), float64 in [0, 1), shape (B, count)."""
    if rule == "spread":
        return spread(seed, np.asarray(index_B), count)
    # a stream's first draws do not depend on how many follow; the very first says which samples are forced
    return uniforms(seed, Stream.LOG_SNR, index_B, 1 + count)[:, 1:]


def spread(seed: int, index_B: np.ndarray, count: int = 1) -> np.ndarray:
    """Scrambled van der Corput sequences, shape (B, count), for sample indices below 2^53.

    Digit j of a time is bit j of the index, flipped by a hash of the bits below it: any 2^k samples from a multiple of
    2^k on fall one into each of 2^k equal strata, at places inside them that are independent of one another. Without
    more, all columns would tell even samples from odd ones; so those after the first visit the samples of every such
    stretch in an order of their own, each bit of their index being flipped by a hash of the bits above it.
    """
    word = np.array([seed % 2**64], dtype=np.uint64)
    column_C1 = np.arange(count, dtype=np.uint64)[:, None]
    order_CJ, digit_CJ = (_streams(_mix(word + _ODD), 2 * column_C1 + purpose) for purpose in DIGITS[1:3])
    index_BC1 = np.repeat(index_B.astype(np.uint64)[:, None, None], count, axis=1)
    if count > 1:
        order_BCJ = _bits(order_CJ, index_BC1 >> (DIGITS + _ONE)) * (column_C1 > 0)
        index_BC1 = index_BC1 ^ _joined(order_BCJ << DIGITS)
    digits_BCJ = (index_BC1 >> DIGITS & _ONE) ^ _bits(digit_CJ, index_BC1 & ((_ONE << DIGITS) - _ONE))
    return _joined(digits_BCJ << DIGITS[::-1])[..., 0] * 2.0**-53


def _joined(bits: np.ndarray) -> np.ndarray:
    """The words whose single bits lie along the last axis, which becomes one."""
    return np.bitwise_or.reduce(bits, axis=-1, keepdims=True)


def _streams(seed: np.ndarray, number: np.ndarray) -> np.ndarray:
    """States of one SplitMix64 stream a digit, shape (..., J), for every ``number`` of shape (..., 1)."""
    return _mix(_mix(seed + number * _ODD) + DIGITS * _ODD)


def _bits(state: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The lowest bit, 0 or 1, of the word that a SplitMix64 stream has at a place."""
    return _mix(state + (place + _ONE) * _ODD) & _ONE


def _mix(x: np.ndarray) -> np.ndarray:
    """SplitMix64's bijection of words, every bit of which depends on all bits (Steele, Lea and Flood, 2014)."""
    x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return x ^ x >> np.uint64(31)
