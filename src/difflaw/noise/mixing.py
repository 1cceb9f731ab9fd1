"""GIDD's mixing distribution π_λ = s·u + (1-s)·m, with s = σ(scale·λ + shift).

u is uniform over the V - 1 ids that are not the mask, m is all mass on the mask. The shift is the dial
between masked (s = 0) and uniform noise (s = 1). Source: 2512.10858; its code, schedule.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from difflaw.noise.clock import sigmoid

NOISE_TYPES: dict[str, float] = {
    "masked": -1000.0,
    "low-uniform": -2.0,
    "balanced": 0.0,
    "high-uniform": 2.0,
    "uniform": 1000.0,
}
"""Shift of each named noise type (2512.10858; scale 1 in all of its runs)."""

MAX_LOG_RATIO = 40.0
"""log(α/c) is capped here: with c = α·e^-40 the masked limit c → 0 is exact to 1e-15, and r² fits into float32."""


@dataclass(frozen=True)
class HybridMixing:
    """π_λ over ``vocab_size`` ids, the mask among them. Shapes follow the argument, λ is a tensor or array."""

    shift: float
    vocab_size: int
    mask_id: int
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.vocab_size < 3:
            raise ValueError(f"vocab_size must be at least 3 (two tokens and the mask), got {self.vocab_size}")
        if not 0 <= self.mask_id < self.vocab_size:
            raise ValueError(f"mask_id {self.mask_id} lies outside the vocabulary of {self.vocab_size}")
        if not 0.0 < self.scale <= 1.0:
            raise ValueError(f"scale must lie in (0, 1] for non-negative weights, got {self.scale}")
        if not math.isfinite(self.shift):
            raise ValueError("shift must be finite; use ±1000 for uniform and masked noise")

    def log_uniform_share(self, log_snr: Tensor) -> Tensor:
        """Log s(λ), never -inf for finite λ."""
        return logsigmoid(self.scale * log_snr + self.shift)

    def log_signal_ratio(self, log_snr: Tensor) -> Tensor:
        """Log r, r = α/c with c = β·s/(V-1) the chance that noise makes one given token: λ + log(V-1) - log s.

        This is the only place where the vocabulary enters the bound; capped at ``MAX_LOG_RATIO``.
        """
        ratio = log_snr + math.log(self.vocab_size - 1) - self.log_uniform_share(log_snr)
        return ratio.clamp(max=MAX_LOG_RATIO)

    def probabilities(self, log_snr: Tensor) -> Tensor:
        """π_λ as a full distribution, shape (*λ.shape, V)."""
        share = self.log_uniform_share(log_snr).exp().unsqueeze(-1)
        pi = (share / (self.vocab_size - 1)).expand(*log_snr.shape, self.vocab_size).clone()
        pi[..., self.mask_id] = 1.0 - share.squeeze(-1)
        return pi

    def marginal(self, x: Tensor, log_snr: Tensor) -> Tensor:
        """q_λ(z|x) = α·1[z=x] + (1-α)·π_λ(z); x and λ of one shape, result (*shape, V)."""
        alpha = torch.sigmoid(log_snr).unsqueeze(-1)
        signal = torch.nn.functional.one_hot(x, self.vocab_size).to(alpha.dtype)
        return alpha * signal + (1.0 - alpha) * self.probabilities(log_snr)

    def transition_noise(self, log_snr_t: Tensor, log_snr_s: Tensor) -> tuple[Tensor, Tensor]:
        """α_{t|s} and the vector b of q(z_t|z_s) = α_{t|s}·1[z_t=z_s] + b(z_t), for λ_t ≤ λ_s.

        b = (1-α_t)π_t - α_{t|s}(1-α_s)π_s (2512.10858; its code, sampling.py). Shapes: λ's shape, and (*shape, V).
        """
        alpha_t, alpha_s = torch.sigmoid(log_snr_t), torch.sigmoid(log_snr_s)
        keep = alpha_t / alpha_s
        noise_t = torch.sigmoid(-log_snr_t).unsqueeze(-1) * self.probabilities(log_snr_t)
        noise_s = torch.sigmoid(-log_snr_s).unsqueeze(-1) * self.probabilities(log_snr_s)
        return keep, (noise_t - keep.unsqueeze(-1) * noise_s).clamp(min=0.0)

    def sample(self, x: np.ndarray, log_snr: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Z ~ q_λ(·|x) from uniforms u of shape (3, *x.shape): kept?, uniform or mask?, which token.

        Tokens are drawn over the V - 1 ids that are not the mask, as π says (the public code draws over all V).
        """
        kept = u[0] < sigmoid(log_snr)
        is_uniform = u[1] < sigmoid(self.scale * log_snr + self.shift)
        token = np.minimum((u[2] * (self.vocab_size - 1)).astype(np.int64), self.vocab_size - 2)
        token += token >= self.mask_id
        return np.where(kept, x, np.where(is_uniform, token, self.mask_id))
