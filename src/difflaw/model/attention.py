"""Soft-capped softmax attention with a sink: the weights, as one differentiable function.

weights = softmax(mask(cap·tanh(s))), s = q·k/(√head_dim·cap), the mask applied after the cap
(2512.10858; its code, modeling_gidd_hf.py).
Written by hand because on small models the time goes into passes over memory: this makes few of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _CappedSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, cap: float, key_mask: Tensor | None) -> Tensor:  # type: ignore[override]
        squashed = torch.tanh(scores)
        capped = squashed.float() * cap
        if key_mask is not None:
            capped = capped.masked_fill_(key_mask, -torch.inf)
        weights = torch.softmax(capped, -1).to(scores.dtype)
        ctx.save_for_backward(squashed, weights)
        ctx.cap = cap
        return weights

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        squashed, weights = ctx.saved_tensors
        inner = torch.ops.aten._softmax_backward_data(gradient, weights, -1, weights.dtype)
        return torch.ops.aten.tanh_backward(inner, squashed).mul_(ctx.cap), None, None


def capped_softmax(scores: Tensor, cap: float, key_mask: Tensor | None = None) -> Tensor:
    """Attention weights, the shape of ``scores`` (..., queries, keys), which are already divided by ``cap``.

    ``key_mask`` (broadcastable) is True where a key must not be seen; every query must see at least one key.
    """
    return _CappedSoftmax.apply(scores, cap, key_mask)  # type: ignore[return-value]


def key_mask(attention: Tensor, sink: bool) -> Tensor:
    """Mask for `capped_softmax` from "may attend": (Q, K) or (B, Q, K) → (B or 1, 1, Q, K [+1 for the sink])."""
    mask = ~attention
    if mask.dim() == 2:
        mask = mask.unsqueeze(0)
    if sink:
        mask = torch.nn.functional.pad(mask, (1, 0), value=False)
    return mask.unsqueeze(1)
