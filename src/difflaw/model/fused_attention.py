"""The attention half of a layer as one differentiable function of columns, its backward by hand.

With u = r·h (`columns`), gain g, weights W = [W_q; W_k; W_v], gains g_q, g_k of the query-key norm, R the rotation of a
position, the sink a key k₀ and a value v₀ before all others, C the soft cap, ρ the residual weight, d a head's width,

    [q̃; k̃; ṽ] = W(1 + g)·u,   û_q = q̃·r_q,   û_k = k̃·r_k,
    q = R((1 + g_q)·û_q),   k = [k₀, R((1 + g_k)·û_k)],   v = [v₀, ṽ],
    t = tanh(kᵀq/(√d·C)),   e = exp(C·t) where the key may be seen, else 0,   n = v e,   z = Σ_keys e,   o = n/z,
    h' = h + ρ W_o o.

No highest score is looked for: C·t lies in ±C, whose exponential float32 holds for any C up to `config.LARGEST_CAP`.
Scores are stored with a column per query, so that all but two of the six products run along rows. Backward:

    dW_o = ρ dh' oᵀ,   do = ρ W_oᵀ dh',   dn = do/z,   dz = -⟨do, o⟩/z,
    dv = dn eᵀ,   de = vᵀdn + dz,   ds = e·de·(1 - t²)/√d,   dq = k ds,   dk = q dsᵀ,
    dy = Rᵀdq,   dg_q = Σ_T û_q·dy,   dû = (1 + g_q)·dy,   dq̃ = r_q(dû - û⟨dû, û⟩/D),   k̃ alike,
    dk₀, dv₀: the first columns, summed over sequences,
    dW and dg as in `fused_feed_forward`,   dh = dh' + r(du - u⟨du, u⟩/D).

Shapes: B sequences, L positions, T = B·L, D width, H heads, d = D/H, K = L + 1 keys.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from difflaw.model.columns import to_tangent_, unit_columns


class AttentionWeights(NamedTuple):
    """Gain of the norm (D,); q, k, v (D, D); gains of the query-key norm (D,); sink's key and value (H, d); o."""

    gain: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    q_gain: Tensor
    k_gain: Tensor
    sink_key: Tensor
    sink_value: Tensor
    o: Tensor


class Surroundings(NamedTuple):
    """What attention reads besides states and weights, made once for all layers by `surroundings`."""

    rows: int
    length: int
    cos: Tensor
    """(d, B or 1, L); the sine has the sign of the half that it turns."""
    sin: Tensor
    swap: Tensor
    """(d,): which feature each is turned with."""
    seen: Tensor | None
    """(B or 1, 1, K, L), one where a query sees a key, zero where not; None where it sees all."""


def surroundings(rows: int, length: int, cos: Tensor, sin: Tensor, key_mask: Tensor | None) -> Surroundings:
    """From a `rotary_table`, (L, d) or (B, 1, L, d), and a mask of keys (B or 1, 1, L, K), True where not seen."""
    dim = cos.shape[-1]
    cos, sin = (table.view(-1, length, dim).permute(2, 0, 1).contiguous() for table in (cos, sin))
    seen = None if key_mask is None else key_mask.mT.logical_not().to(cos.dtype)
    return Surroundings(rows, length, cos, sin, _partners(dim, cos.device), seen)


@cache
def _partners(dim: int, device: torch.device) -> Tensor:
    return torch.arange(dim, device=device).roll(dim // 2)


class _Scales(NamedTuple):
    residual: float
    eps: float
    cap: float


class _Attention(torch.autograd.Function):
    """Features are (H, d) and tokens (B, L) wherever heads or positions matter, and scores are (B·H, K, L)."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, around: Surroundings, scales: _Scales, *weights: Tensor) -> Tensor:  # type: ignore[override]
        w = AttentionWeights(*weights)
        (heads, dim), rows, length = w.sink_key.shape, around.rows, around.length
        plain, factor = torch.cat([w.q, w.k, w.v]), w.gain + 1.0
        weight = plain * factor
        unit, rstd = unit_columns(h, scales.eps, 0)
        qkv = torch.mm(weight, unit).view(3, heads, dim, rows, length)
        qk = qkv[:2]
        unit_qk, rstd_qk = unit_columns(qk, scales.eps, (1, 2))
        gains = torch.stack([w.q_gain, w.k_gain]).add_(1.0).view(2, heads, dim, 1, 1)
        _rotate(unit_qk * gains, around, 1.0, out=qk)

        sinks = torch.stack([w.sink_key, w.sink_key, w.sink_value]).view(3, heads, dim, 1, 1)
        qkv = torch.cat([sinks.expand(-1, -1, -1, rows, 1), qkv], -1)
        q, k, v = qkv.permute(0, 3, 1, 2, 4).reshape(3, rows * heads, dim, length + 1)
        q = q[..., 1:]
        nothing = h.new_empty(1, 1, 1)  # its share is zero
        squashed = torch.baddbmm(nothing, k.mT, q, beta=0.0, alpha=dim**-0.5 / scales.cap).tanh_()
        exponentials = (squashed * scales.cap).exp_()
        if around.seen is not None:
            exponentials.view(rows, heads, length + 1, length).mul_(around.seen)
        total = exponentials.sum(1, keepdim=True)
        out = torch.bmm(v, exponentials).div_(total)
        out_columns = out.view(rows, heads, dim, length).permute(1, 2, 0, 3).reshape(h.shape)
        ctx.save_for_backward(
            *(unit, rstd, plain, weight, factor, unit_qk, rstd_qk, gains),
            *(q, k, v, squashed, exponentials, total, out, out_columns, w.o),
        )
        ctx.around, ctx.scales = around, scales
        return torch.addmm(h, w.o, out_columns, alpha=scales.residual)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        unit, rstd, plain, weight, factor, unit_qk, rstd_qk, gains, *rest = ctx.saved_tensors
        q, k, v, squashed, exponentials, total, out, out_columns, o = rest
        around, residual = ctx.around, ctx.scales.residual
        _, heads, dim, rows, length = unit_qk.shape
        scale = dim**-0.5

        d_o = torch.mm(gradient, out_columns.t()).mul_(residual)
        d_out = torch.mm((o * residual).t(), gradient).view(heads, dim, rows, length)
        d_sum = d_out.permute(2, 0, 1, 3).reshape(out.shape).div(total)
        d_v = torch.bmm(exponentials, d_sum.mT).view(rows, heads, length + 1, dim)
        d_scores = torch.baddbmm((d_sum * out).sum(1, keepdim=True), v.mT, d_sum, beta=-1.0).mul_(exponentials)
        torch.ops.aten.tanh_backward.grad_input(d_scores, squashed, grad_input=d_scores)
        d_q = torch.bmm(k, d_scores).view(rows, heads, dim, length)
        d_k = torch.bmm(d_scores, q.mT).view(rows, heads, length + 1, dim)

        along_rows = (d_q.permute(1, 2, 0, 3), *(x[:, :, 1:].permute(1, 3, 0, 2) for x in (d_k, d_v)))
        d_qkv = torch.stack(along_rows)
        d_qk = d_qkv[:2]
        turned = _rotate(d_qk, around, -1.0, out=torch.empty_like(unit_qk)).mul_(scale)
        each = turned * unit_qk
        along = (each * gains).sum((1, 2), keepdim=True)
        torch.mul(to_tangent_(turned.mul_(gains), unit_qk, along), rstd_qk, out=d_qk)

        d_qkv = d_qkv.view(weight.shape[0], -1)
        d_weight = torch.mm(d_qkv, unit.t())
        d_unit = torch.mm(weight.t(), d_qkv)
        d_h = torch.addcmul(gradient, to_tangent_(d_unit, unit, (d_unit * unit).sum(0)), rstd)
        d_gain = (d_weight * plain).sum(0)
        return (
            *(d_h, None, None, d_gain),
            *d_weight.mul_(factor).chunk(3),
            *each.sum((3, 4)).view(2, -1),
            d_k[:, :, 0].sum(0).mul_(scale),
            d_v[:, :, 0].sum(0),
            d_o,
        )


def _rotate(x: Tensor, around: Surroundings, sign: float, out: Tensor) -> Tensor:
    """Each feature turned with its partner by the angle of its position, (2, H, d, B, L) into out; -1 turns back."""
    swapped = x.index_select(2, around.swap)
    return torch.mul(x, around.cos, out=out).addcmul_(swapped, around.sin, value=sign)


def fused_attention(
    h: Tensor, around: Surroundings, weights: AttentionWeights, residual: float, eps: float, cap: float
) -> Tensor:
    """States h + residual·attention(norm(h)), columns (D, T) → (D, T)."""
    return _Attention.apply(h, around, _Scales(residual, eps, cap), *weights)  # type: ignore[return-value]
