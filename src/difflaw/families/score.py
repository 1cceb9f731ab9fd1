"""One pass of the network over a corrupted batch, down to the three numbers a token."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from difflaw.families.base import Corrupted, Family
from difflaw.model.head import TokenNumbers, numbers_from_hidden
from difflaw.model.transformer import Transformer

PRECISIONS = ("float32", "bfloat16")


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products in ``precision``; weights, norms, softmax and the vocabulary stay in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def score(model: Transformer, family: Family, batch: Corrupted, precision: str = "float32") -> TokenNumbers:
    """Log p[x], log p[z] and G of every token, (B, L), float32, differentiable."""
    with autocast(precision, batch.z_BL.device):
        hidden = model.hidden(batch.z_BL, batch.attention)
    z = batch.z_BL if family.reads_z else None
    ratio = family.log_ratio(batch.log_snr_BL)
    return numbers_from_hidden(
        hidden.float(), model.lm_head.weight, model.output_scale, batch.x_BL, family.mask_id, z, ratio
    )
