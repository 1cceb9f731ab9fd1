"""Random numbers as a pure function of (seed, stream, sample index).

Philox is counter-based: the key holds (seed, sample index) and the counter's last word the stream, so
two streams of one sample never overlap and no draw depends on which process asked for it, or when.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

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
    state = _start(seed, stream)
    return np.random.Generator(np.random.Philox(key=_key(state, index), counter=state["state"]["counter"]))


def uniforms(seed: int, stream: Stream, indices: Sequence[int] | np.ndarray, *shape: int) -> np.ndarray:
    """Uniform draws in [0, 1), float64, shape (len(indices), *shape); row i depends on indices[i] alone.

    Row i is what ``generator(seed, stream, indices[i])`` draws first. One generator is set to each key in turn:
    making one asks the system for entropy that nobody needs, and costs more than the draws.
    """
    draws, state = np.empty((len(indices), *shape)), _start(seed, stream)
    philox = np.random.Philox(key=0)
    moved = np.random.Generator(philox)
    for row, index in enumerate(indices):
        _key(state, int(index))
        philox.state = state  # pyright: ignore[reportAttributeAccessIssue]
        moved.random(out=draws[row])
    return draws


def _start(seed: int, stream: Stream) -> dict[str, Any]:
    """Philox's state before the first draw of sample 0."""
    counter = np.array([0, 0, 0, int(stream)], dtype=np.uint64)
    inner = {"counter": counter, "key": np.array([seed & _WORD, 0], dtype=np.uint64)}
    empty = {"buffer": np.zeros(4, dtype=np.uint64), "buffer_pos": 4, "has_uint32": 0, "uinteger": 0}
    return {"bit_generator": "Philox", "state": inner, **empty}


def _key(state: dict[str, Any], index: int) -> np.ndarray:
    """The state's key, with its second word set to the sample's index."""
    key = state["state"]["key"]
    key[1] = index & _WORD
    return key
