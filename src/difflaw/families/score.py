"""The network over a corrupted batch, down to the three numbers a token."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from difflaw.families.base import Corrupted, Family
from difflaw.model.head import TokenNumbers, numbers_from_hidden
from difflaw.model.transformer import Transformer

PRECISIONS = ("float32", "bfloat16")


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products in ``precision``; weights, norms, softmax and the vocabulary stay in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def hidden_states(model: Transformer, family: Family, batch: Corrupted) -> Tensor:
    """Final states of the scored positions, (B, L, D): one pass, or two where some rows read a clean copy."""
    sigma = family.told(batch.log_snr_BL) if model.config.adaln else None
    if batch.clean_BL is None:
        return model.hidden(batch.z_BL, batch.attention, batch.positions_BL, sigma=sigma, soft=batch.soft)
    beside = batch.beside_B
    if beside is None or bool(beside.all()):
        return _read_beside(model, batch, slice(None), sigma)
    if not beside.any():
        return model.hidden(batch.z_BL, batch.attention, batch.positions_BL, sigma=sigma)
    alone, rows = ~beside, beside.nonzero()[:, 0]
    plain = model.hidden(
        batch.z_BL[alone],
        batch.attention,
        None if batch.positions_BL is None else batch.positions_BL[alone],
        sigma=None if sigma is None else sigma[alone],
    )
    read = _read_beside(model, batch, rows, sigma)
    joined = plain.new_empty(*batch.z_BL.shape, plain.shape[-1])
    return joined.index_copy(0, alone.nonzero()[:, 0], plain).index_copy(0, rows, read)


def _read_beside(model: Transformer, batch: Corrupted, rows: Tensor | slice, sigma: Tensor | None) -> Tensor:
    """One pass over [z ; clean], both halves at the same positions; the states of z."""
    assert batch.clean_BL is not None
    z = batch.z_BL[rows]
    length = z.shape[1]
    positions = (
        torch.arange(length, device=z.device).expand_as(z) if batch.positions_BL is None else batch.positions_BL[rows]
    )
    both = torch.cat([z, batch.clean_BL[rows]], 1)
    if sigma is not None:
        sigma = sigma[rows]
        sigma = sigma if sigma.shape[1] == 1 else torch.cat([sigma, torch.zeros_like(sigma)], 1)
    states = model.hidden(both, batch.beside_attention, torch.cat([positions, positions], 1), sigma=sigma)
    return states[:, :length]


def score(model: Transformer, family: Family, batch: Corrupted, precision: str = "float32") -> TokenNumbers:
    """Log p[x], log p[z] and G of every token, (B, L), float32, differentiable; zero where nothing is scored."""
    with autocast(precision, batch.z_BL.device):
        hidden = hidden_states(model, family, batch)
    z = batch.z_BL if family.reads_z else None
    ratio = family.log_ratio(batch.log_snr_BL)
    scored = family.scored(batch.x_BL, batch.z_BL)
    head = model.lm_head.weight, model.output_scale
    if scored is None:
        return numbers_from_hidden(hidden.float(), *head, batch.x_BL, family.mask_id, z, ratio)
    # half of the rows on average under masked noise, and with a large vocabulary most of the step
    rows = (scored & batch.noised_BL).reshape(-1).nonzero()[:, 0]
    few = numbers_from_hidden(
        hidden.float().flatten(0, 1).index_select(0, rows),
        *head,
        batch.x_BL.reshape(-1)[rows],
        family.mask_id,
        None if z is None else z.reshape(-1)[rows],
        None if ratio is None else ratio.reshape(-1)[rows],
    )

    def spread(column: Tensor | None) -> Tensor | None:
        if column is None:
            return None
        return column.new_zeros(batch.x_BL.numel()).index_copy(0, rows, column).view(batch.x_BL.shape)

    log_p_x = spread(few.log_p_x)
    assert log_p_x is not None
    return TokenNumbers(log_p_x, spread(few.log_p_z), spread(few.excess))
