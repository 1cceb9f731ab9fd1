"""Who may attend to whom in Eso-LM and block diffusion, True = may (2506.01928, 2503.09573).

Axes are (query, key), or (row, query, key) where a cutoff per row is given; the cutoff is the number of clean tokens,
which come first. Masks over 2L positions are for one pass over [z ; clean].
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def causal(length: int) -> Tensor:
    """Each position sees itself and those before it, (L, L)."""
    return torch.ones(length, length, dtype=torch.bool).tril()


def clean_bidirectional(length: int, cutoff_B: Tensor) -> Tensor:
    """Causal, and the clean tokens see one another, (B, L, L): Eso-LM's variant A (``mixed2`` in its code)."""
    clean = torch.arange(length, device=cutoff_B.device) < cutoff_B[:, None]
    return causal(length).to(cutoff_B.device) | (clean[:, :, None] & clean[:, None, :])


@lru_cache(maxsize=8)
def block_diffusion(length: int, block: int) -> Tensor:
    """BD3-LM's mask over [z ; clean], (2L, 2L).

    A noisy token sees its own block and the clean copies of earlier blocks; a clean one the clean copies of its own
    and earlier blocks. ``block`` = 1 is the sequential phase of Eso-LM.
    """
    number = torch.arange(length) // block
    same, earlier = number[:, None] == number[None, :], number[:, None] > number[None, :]
    noisy = torch.cat([same, earlier], 1)
    clean = torch.cat([torch.zeros_like(same), same | earlier], 1)
    return torch.cat([noisy, clean], 0)


def sequential(length: int) -> Tensor:
    """Eso-LM's sequential phase over [z ; clean], (2L, 2L): z sees itself and the clean copies before it."""
    return block_diffusion(length, 1)


def sequential_prefix(length: int, cutoff_B: Tensor) -> Tensor:
    """As `sequential`, and the first clean copies see one another, (B, 2L, 2L): the sequential phase of variant A."""
    clean = torch.arange(length, device=cutoff_B.device) < cutoff_B[:, None]
    mask = sequential(length).to(cutoff_B.device).expand(len(cutoff_B), -1, -1).clone()
    mask[:, length:, length:] |= clean[:, :, None] & clean[:, None, :]
    return mask
