"""Every random number of a generation, as a pure function of (seed, row, position, step, use).

Philox4x32-10 (Salmon et al. 2011), a counter-based generator, written over whole arrays: nothing is drawn in
sequence, so which rows share a batch, what was padded, which steps needed no pass and whether a cache was used cannot
change a text. Shapes: B rows, N places.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

_WORD = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)


class Use(IntEnum):
    """What a draw is for: two uses of one place and step are independent."""

    TOKEN = 0
    WHETHER = 1
    PRIOR = 2
    ORDER = 3
    REMASK = 4
    COUNT = 5


def philox(counter: tuple[np.ndarray, ...], key: int) -> tuple[np.ndarray, ...]:
    """Four 32-bit words (in uint64 arrays) for each counter of four such words under a 64-bit key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key & 0xFFFFFFFF, key >> 32 & 0xFFFFFFFF
    for _ in range(10):
        high, low = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (low >> _HALF) ^ c1 ^ np.uint64(k0),
            low & _WORD,
            (high >> _HALF) ^ c3 ^ np.uint64(k1),
            high & _WORD,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


@dataclass(frozen=True)
class Draws:
    """Uniform numbers of some rows of a generation."""

    seed: int
    rows: np.ndarray
    """(B,) number of each row in the whole generation, not in its batch."""

    def uniform(self, positions: Tensor | np.ndarray, step: int, use: Use) -> Tensor:
        """Uniforms in [0, 1) of 53 bits, float64, (B, N), for ``positions`` (B, N) in the text; on their device."""
        device = positions.device if isinstance(positions, Tensor) else torch.device("cpu")
        at = positions.cpu().numpy() if isinstance(positions, Tensor) else positions
        word = at.astype(np.uint64) & _WORD
        row = np.broadcast_to((self.rows.astype(np.uint64) & _WORD)[:, None], word.shape)
        when, what = (np.full(word.shape, value, dtype=np.uint64) for value in (step, int(use)))
        first, second, _, _ = philox((word, when, row, what), self.seed & 0xFFFF_FFFF_FFFF_FFFF)
        bits = ((first >> np.uint64(5)) << np.uint64(26)) | (second >> np.uint64(6))
        return torch.from_numpy(bits.astype(np.float64) * 2.0**-53).to(device)

    def select(self, rows: np.ndarray) -> Draws:
        """Only these rows (indices) of the batch."""
        return Draws(self.seed, self.rows[rows])
