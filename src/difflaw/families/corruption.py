"""The frame of a training batch: empty tokens, clean prompts, λ, then a family's own noise (2512.10858 facts §3.1)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from difflaw.families.base import Corrupted, Family
from difflaw.noise.conditioning import prompt_attention

Sample = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
"""(x (B, L), λ (B, L), sample index (B,), seed) → z (B, L)."""


def corrupt_with(
    family: Family, sample: Sample, x_BL: Tensor, sample_index_B: Tensor | np.ndarray, seed: int
) -> Corrupted:
    """A corrupted batch as a pure function of (x, sample index, seed), on x's device."""
    index, device, length = np.asarray(sample_index_B), x_BL.device, x_BL.shape[1]
    x = family.conditioning.with_empty_tokens(x_BL.cpu().numpy(), family.pad_id, index, seed)
    noised = family.conditioning.noised(length, index, seed)
    log_snr = np.where(noised, family.conditioning.log_snr(family.span, length, index, seed), family.span.high)
    z = np.where(noised, sample(x, log_snr, index, seed), x)
    attention = prompt_attention(noised)
    return Corrupted(
        torch.from_numpy(x).to(device),
        torch.from_numpy(z).to(device),
        torch.from_numpy(log_snr).to(device, torch.float32),
        torch.from_numpy(noised).to(device),
        None if attention is None else torch.from_numpy(attention).to(device),
    )
