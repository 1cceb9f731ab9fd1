"""The two divergences of every bound with random tokens in it, from the three numbers a token, without cancellation.

Q = α·1_x + c on tokens, P = α·p + c on tokens, r = α/c. With P - Q = α(p - 1_x) and Σ(P - Q) = 0,

    KL(Q‖P) = c·Σ_{v≠x} g(r·p_v) + (α+c)·g(-y),   y = (1-p_x)·r/(1+r),   g(u) = u - log(1+u),
    IS(ρ)   = ρ - 1 - log ρ = h(w),   ρ = Q_z/P_z = 1/(1+w),             h(w) = log(1+w) - w/(1+w),

every term of which is non-negative and of the size of the answer; what P and Q share (the mask) drops out
(derivation: docs/derivations.md#three-numbers). Both g and h behave like u²/2 near zero, where the textbook forms lose
every digit in float32. The sum over the vocabulary is the third number of `model.head`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from difflaw.model.head import TokenNumbers

_SMALL = 0.05  # below it six terms of the series are exact to 1e-7; above it the closed form loses little


def _series(u: Tensor) -> Tensor:
    return u * u * (1 / 2 - u * (1 / 3 - u * (1 / 4 - u * (1 / 5 - u * (1 / 6 - u * (1 / 7))))))


def g_below(y: Tensor, log_rest: Tensor) -> Tensor:
    """g(-y) = -y - log(1-y) for 0 ≤ y < 1, given log(1-y), which the caller knows without cancellation."""
    return torch.where(y < _SMALL, _series(-y.clamp(max=_SMALL)), -y - log_rest)


def h(w: Tensor, log_one_plus_w: Tensor) -> Tensor:
    """log(1+w) - w/(1+w) for w > -1, given log(1+w): ρ - 1 - log ρ for the ratio ρ = 1/(1+w).

    Near zero: Σ_{k≥2} (-1)^k (k-1)/k·w^k.
    """
    small = w.abs() < _SMALL
    v = torch.where(small, w, torch.zeros_like(w))
    series = v * v * (1 / 2 - v * (2 / 3 - v * (3 / 4 - v * (4 / 5 - v * (5 / 6 - v * (6 / 7))))))
    return torch.where(small, series, log_one_plus_w + torch.expm1(-log_one_plus_w))


class _Divergences(torch.autograd.Function):
    """Both, differentiable in log p[x], log p[z] and G, in closed form.

    With σ = r/(1+r), so that dy/dlog p[x] = -(σ - y),

    dKL/dlog p[x] = -(α+c)·y/(1-y)·(σ - y),   dKL/dG = c,
    dIS/dlog p[x] = -y/(1-y)²·(σ - y) at z = x,   dIS/dlog p[z] = (u/(1+u))² elsewhere, u = r·p[z].
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        log_p_x: Tensor,
        log_p_z: Tensor,
        excess: Tensor,
        log_snr: Tensor,
        log_r: Tensor,
        is_clean: Tensor,
        silent: Tensor,
    ) -> tuple[Tensor, Tensor]:
        share = torch.sigmoid(log_r)
        c = torch.exp(logsigmoid(log_snr) - log_r)
        both = torch.sigmoid(log_snr) + c
        log_p_x = log_p_x.double()
        log_rest = softplus(log_r + log_p_x) - softplus(log_r)  # log(1-y) = log((1 + r·p_x)/(1+r))
        y = -torch.expm1(log_p_x) * share
        kl = torch.addcmul(c * excess, both, g_below(y, log_rest))

        # P_z/Q_z - 1 is -y at z = x and r·p_z elsewhere
        log_u_z = log_r + log_p_z.double().masked_fill(silent, -1.0)
        offset = torch.where(is_clean, -y, log_u_z.exp())
        itakura_saito = h(offset, torch.where(is_clean, log_rest, softplus(log_u_z))).masked_fill_(silent, 0.0)
        ctx.save_for_backward(share, c, both, log_rest, y, log_u_z, is_clean, silent)
        ctx.dtype = excess.dtype
        return kl, itakura_saito

    @staticmethod
    def backward(ctx: Any, from_kl: Tensor, from_is: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        share, c, both, log_rest, y, log_u_z, is_clean, silent = ctx.saved_tensors
        from_is = from_is.masked_fill(silent, 0.0)
        rest = log_rest.exp()
        bent = from_kl * both + torch.where(is_clean, from_is / rest, 0.0)
        to_log_p_x = (y - share) * y / rest * bent
        to_log_p_z = torch.sigmoid(log_u_z).square_().mul_(from_is).masked_fill_(is_clean, 0.0)
        found = (to_log_p_x, to_log_p_z, from_kl * c)
        return (*(gradient.to(ctx.dtype) for gradient in found), None, None, None, None)


def divergences(
    numbers: TokenNumbers, log_snr: Tensor, log_r: Tensor, is_clean: Tensor, silent: Tensor
) -> tuple[Tensor, Tensor]:
    """KL(Q‖P) and IS = ρ - log ρ - 1 at ρ = Q_z/P_z, float64, all of one shape.

    ``log_snr`` and ``log_r`` are float64; ``is_clean`` is z = x; where ``silent`` (z with Q_z = P_z) IS is zero.
    """
    if numbers.log_p_z is None or numbers.excess is None:
        raise ValueError("a bound with random tokens needs log p[z] and the third number")
    return _Divergences.apply(*numbers, log_snr, log_r, is_clean, silent)  # type: ignore[return-value]


def sum_of_parts(parts: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    """A bound from its parts, rounded once."""
    return sum(parts.values(), torch.zeros((), dtype=torch.float64)).to(dtype)
