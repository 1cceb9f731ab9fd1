"""Hidden states with a column per token, and the norm on them: the layout of the fused layers.

A state is h (D, T), T = B·L tokens, the last position of a sequence next to the first of the following one. A narrow
network has few features and many tokens: along the tokens every operation is one long loop, along sixteen features the
setting up of each loop costs more than the loop.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def to_columns(h_BLD: Tensor) -> Tensor:
    """(B, L, D) → (D, B·L), contiguous."""
    return h_BLD.flatten(0, 1).t().contiguous()


def unit_columns(h: Tensor, eps: float, over: int | tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Unit columns u = r·h and r = 1/√(mean h² + eps), the mean over the axes ``over``, which r keeps."""
    squares = (h * h).sum(over, keepdim=True)
    rstd = torch.rsub(squares, eps, alpha=-squares.numel() / h.numel()).rsqrt_()
    return h * rstd, rstd


def to_tangent_(gradient: Tensor, unit: Tensor, along: Tensor) -> Tensor:
    """dh/r = du - u·⟨du, u⟩/D in place of du, where ``along`` is ⟨du, u⟩: the backward of `unit_columns`."""
    return gradient.addcmul_(unit, along, value=-along.numel() / unit.numel())


class _Normed(torch.autograd.Function):
    """y = u·(1 + g). du = dy·(1 + g), dg = Σ_T dy·u."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, gain: Tensor, eps: float) -> Tensor:  # type: ignore[override]
        unit, rstd = unit_columns(h, eps, 0)
        factor = gain.unsqueeze(1) + 1.0
        ctx.save_for_backward(unit, rstd, factor)
        return unit * factor

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        unit, rstd, factor = ctx.saved_tensors
        each = gradient * unit
        d_unit = to_tangent_(gradient * factor, unit, factor.t() @ each)
        return d_unit.mul_(rstd), each.sum(1), None


def normed_columns(h: Tensor, gain: Tensor, eps: float) -> Tensor:
    """The normed states of columns (D, T): h/√(mean h² + eps)·(1 + gain)."""
    return _Normed.apply(h, gain, eps)  # type: ignore[return-value]
