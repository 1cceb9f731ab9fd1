"""The network over a corrupted batch, down to the three numbers a token."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from difflaw.families.base import Corrupted, Family
from difflaw.model.fused_loss import fused_loss
from difflaw.model.head import TokenNumbers, numbers_from_hidden
from difflaw.model.transformer import Transformer


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The body's matrix products in ``precision``; weights, norms and softmax stay in float32."""
    if precision != "bfloat16" and not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


Body = Callable[..., Tensor]
"""`Transformer.hidden` of a model, or a compiled form of it."""


def hidden_states(model: Transformer, family: Family, batch: Corrupted, body: Body | None = None) -> Tensor:
    """Final states of the scored positions, (B, L, D): one pass, or two where some rows read a clean copy."""
    body = body or model.hidden
    sigma = family.condition(batch.log_snr_BL) if model.config.adaln else None
    if batch.clean_BL is None:
        return body(batch.z_BL, batch.attention, batch.positions_BL, sigma=sigma, soft=batch.soft)
    reads_clean = batch.reads_clean_B
    if reads_clean is None or bool(reads_clean.all()):
        return _read_with_clean_copy(body, batch, slice(None), sigma)
    if not reads_clean.any():
        return body(batch.z_BL, batch.attention, batch.positions_BL, sigma=sigma)
    alone, rows = ~reads_clean, reads_clean.nonzero()[:, 0]
    plain = body(
        batch.z_BL[alone],
        batch.attention,
        None if batch.positions_BL is None else batch.positions_BL[alone],
        sigma=None if sigma is None else sigma[alone],
    )
    read = _read_with_clean_copy(body, batch, rows, sigma)
    joined = plain.new_empty(*batch.z_BL.shape, plain.shape[-1])
    return joined.index_copy(0, alone.nonzero()[:, 0], plain).index_copy(0, rows, read)


def _read_with_clean_copy(body: Body, batch: Corrupted, rows: Tensor | slice, sigma: Tensor | None) -> Tensor:
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
    states = body(both, batch.clean_copy_attention, torch.cat([positions, positions], 1), sigma=sigma)
    return states[:, :length]


class _Rows:
    """The tokens of a batch that can carry loss, in one row: half of them under masked noise."""

    def __init__(self, family: Family, batch: Corrupted) -> None:
        scored = family.scored(batch.x_BL, batch.z_BL)
        self.shape = batch.x_BL.shape
        self.index = None if scored is None else (scored & batch.noised_BL).reshape(-1).nonzero()[:, 0]

    def of(self, values: Tensor) -> Tensor:
        """(B, L, ...) → (T, ...)."""
        flat = values.flatten(0, 1)
        return flat if self.index is None else flat.index_select(0, self.index)

    def spread(self, column: Tensor | None) -> Tensor | None:
        """(T,) → (B, L), zero where nothing is scored."""
        if column is None or self.index is None:
            return None if column is None else column.view(self.shape)
        return column.new_zeros(self.shape.numel()).index_copy(0, self.index, column).view(self.shape)

    def numbers(self, found: TokenNumbers) -> TokenNumbers:
        """All of them, (B, L)."""
        return TokenNumbers(*(self.spread(column) for column in found))  # type: ignore[arg-type]


def score(model: Transformer, family: Family, batch: Corrupted, precision: str = "float32") -> TokenNumbers:
    """Log p[x], log p[z] and G of every token, (B, L), float32, differentiable; zero where nothing is scored."""
    with autocast(precision, batch.z_BL.device):
        hidden = hidden_states(model, family, batch)
    rows, ratio = _Rows(family, batch), family.log_ratio(batch.log_snr_BL)
    found = numbers_from_hidden(
        rows.of(hidden.float()),
        model.lm_head.weight,
        model.output_scale,
        rows.of(batch.x_BL),
        family.mask_id,
        rows.of(batch.z_BL) if family.reads_z else None,
        None if ratio is None else rows.of(ratio),
    )
    return rows.numbers(found)


def training_loss(
    model: Transformer,
    family: Family,
    batch: Corrupted,
    precision: str = "float32",
    *,
    body: Body | None = None,
    compiled: bool = False,
    z_loss: float = 0.0,
) -> tuple[Tensor, TokenNumbers]:
    """Sum over noised tokens of the family's loss, and the numbers (B, L) it came from, which carry no gradient.

    Other than in `score` the vocabulary's products run in ``precision`` too. ``body`` is what runs in place of
    `Transformer.hidden`, and ``compiled`` says whether the vocabulary's passes are compiled as well. ``z_loss`` times
    the square of log Σ e^logit is added for every token that carries loss.
    """
    with autocast(precision, batch.z_BL.device):
        hidden = hidden_states(model, family, batch, body)
    rows, ratio = _Rows(family, batch), family.log_ratio(batch.log_snr_BL)
    x, z, log_snr = rows.of(batch.x_BL), rows.of(batch.z_BL), rows.of(batch.log_snr_BL)
    weight = rows.of(weights(batch))

    def token_loss(numbers: TokenNumbers, part: slice) -> Tensor:
        return family.loss_of(numbers, x[part], z[part], log_snr[part]) * weight[part]

    loss, found = fused_loss(
        rows.of(hidden),
        model.lm_head.weight,
        model.output_scale,
        x,
        family.mask_id,
        token_loss,
        z if family.reads_z else None,
        None if ratio is None else rows.of(ratio),
        matmul=torch.bfloat16 if precision == "bfloat16" else torch.float32,
        compiled=compiled,
        z_loss=z_loss * weight if z_loss else None,
    )
    return loss, rows.numbers(found)


def weights(batch: Corrupted) -> Tensor:
    """What multiplies each token's loss, (B, L): one where noised, times the importance of its λ."""
    return batch.noised_BL.float() if batch.importance_BL is None else batch.noised_BL * batch.importance_BL
