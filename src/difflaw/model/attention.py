"""Soft-capped softmax attention with a sink: the weights, as one differentiable function.

weights = softmax(mask(cap·tanh(s))), s = q·k/(√head_dim·cap), the mask applied after the cap (2512.10858 §4).
Written by hand because on small models the time goes into passes over memory: this makes few of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _CappedSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, cap: float, hidden: Tensor | None) -> Tensor:  # type: ignore[override]
        bent = torch.tanh(scores)
        capped = bent.float() * cap
        if hidden is not None:
            capped = capped.masked_fill_(hidden, -torch.inf)
        weights = torch.softmax(capped, -1).to(scores.dtype)
        ctx.save_for_backward(bent, weights)
        ctx.cap = cap
        return weights

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        bent, weights = ctx.saved_tensors
        inner = torch.ops.aten._softmax_backward_data(gradient, weights, -1, weights.dtype)
        return torch.ops.aten.tanh_backward(inner, bent).mul_(ctx.cap), None, None


def capped_softmax(scores: Tensor, cap: float, hidden: Tensor | None = None) -> Tensor:
    """Attention weights, the shape of ``scores`` (..., queries, keys), which are already divided by ``cap``.

    ``hidden`` (broadcastable) is True where a key must not be seen; every query must see at least one key.
    """
    return _CappedSoftmax.apply(scores, cap, hidden)  # type: ignore[return-value]


def hidden_keys(attention: Tensor, sink: bool) -> Tensor:
    """Mask for `capped_softmax` from "may attend": (Q, K) or (B, Q, K) → (B or 1, 1, Q, K [+1 for the sink])."""
    hidden = ~attention
    if hidden.dim() == 2:
        hidden = hidden.unsqueeze(0)
    if sink:
        hidden = torch.nn.functional.pad(hidden, (1, 0), value=False)
    return hidden.unsqueeze(1)
