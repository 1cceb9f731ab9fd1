"""The feed-forward half of a layer as one differentiable function of columns, its backward by hand.

With u = r·h, r = 1/√(mean h² + ε) (`columns`), gain g, weights W₁, b₁, W₂, b₂ and ρ the residual weight,

    a = relu(W₁(1 + g)·u + b₁),   h' = h + ρ(W₂ a² + b₂),

    dW₂ = ρ dh' (a²)ᵀ,   db₂ = ρ Σ_T dh',   da² = ρ W₂ᵀ dh',   s = 2a·da²   (zero where relu is),
    dW = s uᵀ,   dW₁ = dW·(1 + g),   dg = Σ_rows dW·W₁,   db₁ = Σ_T s,   du = (W₁(1 + g))ᵀ s,
    dh = dh' + r·(du - u·⟨du, u⟩/D).

The gain is taken into the weights, which are smaller than the states. Shapes: D width, M inner width, T tokens.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from difflaw.model.columns import to_tangent_, unit_columns


class FeedForwardWeights(NamedTuple):
    """Gain of the norm (D,), up (M, D) and its bias (M,), down (D, M) and its bias (D,)."""

    gain: Tensor
    up: Tensor
    up_bias: Tensor
    down: Tensor
    down_bias: Tensor


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, residual: float, eps: float, *weights: Tensor) -> Tensor:  # type: ignore[override]
        gain, up, up_bias, down, down_bias = weights
        unit, rstd = unit_columns(h, eps, 0)
        factor = gain + 1.0
        scaled = up * factor
        active = torch.addmm(up_bias.unsqueeze(1), scaled, unit).relu_()
        squares = active * active
        ctx.save_for_backward(unit, rstd, active, squares, scaled, down, up, factor)
        ctx.residual = residual
        return torch.addmm(h, down, squares, alpha=residual).add_(down_bias.unsqueeze(1), alpha=residual)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        unit, rstd, active, squares, scaled, down, up, factor = ctx.saved_tensors
        residual = ctx.residual
        d_down = torch.mm(squares, gradient.t()).mul_(residual).t()  # the longer side first: three times as fast
        slope = torch.mm((down * (2.0 * residual)).t(), gradient).mul_(active)
        d_scaled = torch.mm(slope, unit.t())
        d_unit = torch.mm(scaled.t(), slope)
        d_h = torch.addcmul(gradient, to_tangent_(d_unit, unit, (d_unit * unit).sum(0)), rstd)
        d_gain = (d_scaled * up).sum(0)
        return d_h, None, None, d_gain, d_scaled.mul_(factor), slope.sum(1), d_down, gradient.sum(1).mul_(residual)


def fused_feed_forward(h: Tensor, weights: FeedForwardWeights, residual: float, eps: float) -> Tensor:
    """States h + residual·down(relu(up(norm(h)))²), columns (D, T) → (D, T)."""
    return _FeedForward.apply(h, residual, eps, *weights)  # type: ignore[return-value]
