"""The two divergences of every bound with random tokens in it, from the three numbers a token, without cancellation.

Q = α·1_x + c on tokens, P = α·p + c on tokens, r = α/c. With P - Q = α(p - 1_x) and Σ(P - Q) = 0,

    KL(Q‖P) = c·Σ_{v≠x} g(r·p_v) + (α+c)·g(-y),   y = (1-p_x)·r/(1+r),   g(u) = u - log(1+u),

every term of which is non-negative and of the size of the answer; what P and Q share (the mask) drops out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from difflaw.model.head import TokenNumbers
from difflaw.noise.divergence import g_below, h


def divergences(
    numbers: TokenNumbers, log_snr: Tensor, log_r: Tensor, is_clean: Tensor, silent: Tensor
) -> tuple[Tensor, Tensor]:
    """KL(Q‖P) and IS = ρ - log ρ - 1 at ρ = Q_z/P_z, float64, all of one shape.

    ``log_snr`` and ``log_r`` are float64; ``is_clean`` is z = x; where ``silent`` (z with Q_z = P_z) IS is zero.
    """
    if numbers.log_p_z is None or numbers.excess is None:
        raise ValueError("a bound with random tokens needs log p[z] and the third number")
    log_p_x = numbers.log_p_x.double()
    alpha = torch.sigmoid(log_snr)
    c = torch.exp(logsigmoid(log_snr) - log_r)
    log_rest = softplus(log_r + log_p_x) - softplus(log_r)  # log(1-y) = log((1 + r·p_x)/(1+r))
    y = -torch.expm1(log_p_x) * torch.sigmoid(log_r)
    kl = c * numbers.excess.double() + (alpha + c) * g_below(y, log_rest)

    # P_z/Q_z - 1 is -y at z = x and r·p_z elsewhere
    log_u_z = log_r + torch.where(silent, torch.full_like(log_snr, -1.0), numbers.log_p_z.double())
    offset = torch.where(is_clean, -y, log_u_z.exp())
    itakura_saito = h(offset, torch.where(is_clean, log_rest, softplus(log_u_z)))
    return kl, torch.where(silent, torch.zeros_like(kl), itakura_saito)


def sum_of_parts(parts: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    """A bound from its parts, rounded once."""
    return sum(parts.values(), torch.zeros((), dtype=torch.float64)).to(dtype)
