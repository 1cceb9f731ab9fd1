"""Random numbers as a pure function of (seed, stream, sample index).

Philox is counter-based: the key holds (seed, sample index) and the counter's last word the stream, so
two streams of one sample never overlap and no draw depends on which process asked for it, or when.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

_WORD = (1 << 64) - 1


class Stream(IntEnum):
    """What a draw is for. The numbers are part of every run's identity: never renumber."""

    CONDITIONING = 1
    LOG_SNR = 2
    CORRUPTION = 3
    EMPTY_TOKENS = 4
    EVALUATION = 5
    TEMPERED = 6
    ORDER = 7


def generator(seed: int, stream: Stream, index: int) -> np.random.Generator:
    """Generator for one sample: the same (seed, stream, index) always gives the same numbers."""
    key = np.array([seed & _WORD, index & _WORD], dtype=np.uint64)
    counter = np.array([0, 0, 0, int(stream)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def uniforms(seed: int, stream: Stream, indices: Sequence[int] | np.ndarray, *shape: int) -> np.ndarray:
    """Uniform draws in [0, 1), float64, shape (len(indices), *shape); row i depends on indices[i] alone."""
    return np.stack([generator(seed, stream, int(index)).random(shape) for index in indices])
