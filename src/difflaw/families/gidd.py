"""GIDD: one process from masked to uniform noise, written in log-SNR (von Rütte et al., 2512.10858).

Notation: α = σ(λ), π_λ = s·u + (1-s)·m with s = σ(scale·λ + shift), c = (1-α)·s/(V-1), r = α/c, x̂ = p the network's
posterior with the mask suppressed. Q = q_λ(·|x), P = q_λ(·|x̂).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from difflaw.families.diffusion import Diffusion
from difflaw.model.head import TokenNumbers
from difflaw.noise.clock import LogSnrRange, sigmoid
from difflaw.noise.conditioning import Conditioning
from difflaw.noise.divergence import divergences, h, sum_of_parts
from difflaw.noise.mixing import NOISE_TYPES, HybridMixing
from difflaw.noise.streams import Stream, uniforms


class Gidd(Diffusion):
    """The dial between masked and uniform diffusion: five named noise types, or any shift and scale in (0, 1]."""

    name: ClassVar[str] = "gidd"
    variants: ClassVar[dict[str, dict[str, str]]] = {
        "masked": {"noise_type": "masked"},
        "low-uniform": {"noise_type": "low-uniform"},
        "balanced": {"noise_type": "balanced"},
        "high-uniform": {"noise_type": "high-uniform"},
        "uniform": {"noise_type": "uniform"},
    }
    styles: ClassVar[dict[str, tuple[str, str]]] = {  # the paper's own colours
        "masked": ("#3a4cc0", "circle"),
        "low-uniform": ("#8daffd", "triangle-down"),
        "balanced": ("#7adc79", "diamond"),
        "high-uniform": ("#f39879", "triangle-up"),
        "uniform": ("#b30326", "cross"),
    }
    paper: ClassVar[str] = "hybrid diffusion, 2512.10858"

    def __init__(
        self,
        vocab_size: int,
        mask_id: int,
        *,
        noise_type: str = "masked",
        shift: float | None = None,
        scale: float = 1.0,
        beta_is_div: float = 1.0,
        loss_weight_clip: float | None = None,
        log_snr_clip: float | None = None,
        bos_id: int = 0,
        pad_id: int = 2,
        span: LogSnrRange | None = None,
        conditioning: Conditioning | None = None,
    ) -> None:
        """``shift`` overrides ``noise_type``.

        ``loss_weight_clip`` (1e3 in the public code) acts on training only; ``log_snr_clip`` (9 there) cuts λ inside α
        but not elsewhere, which matters only for λ beyond it. Both are off unless asked for.
        """
        super().__init__(vocab_size, mask_id, bos_id=bos_id, pad_id=pad_id, span=span, conditioning=conditioning)
        if shift is None:
            if noise_type not in NOISE_TYPES:
                raise ValueError(f"unknown noise type {noise_type!r}: use one of {', '.join(NOISE_TYPES)}")
            shift = NOISE_TYPES[noise_type]
        self.mixing = HybridMixing(shift, vocab_size, mask_id, scale)
        self.beta_is_div, self.loss_weight_clip, self.log_snr_clip = beta_is_div, loss_weight_clip, log_snr_clip

    @property
    def described(self) -> str:
        """Its name and what its noise is made of: masks, random tokens or both."""
        low = torch.tensor(self.span.low, dtype=torch.float64)
        all_random = float(self.mixing.log_uniform_share(low)) > -1e-9
        return f"{self.name} with {'masked' if self.absorbing else 'uniform' if all_random else 'hybrid'} noise"

    @property
    def published_shift(self) -> float:
        """The dial itself."""
        return float(self.mixing.shift)

    # -- forward process: q_λ(z|x) = α·1[z=x] + (1-α)·π_λ(z) ------------------------------------------------------

    def sample(self, x: np.ndarray, log_snr: np.ndarray, index: np.ndarray, seed: int) -> np.ndarray:
        """Z ~ q_λ(·|x), (B, L)."""
        u = uniforms(seed, Stream.CORRUPTION, index, 3, x.shape[1])
        return self.mixing.sample(x, log_snr, np.moveaxis(u, 1, 0))

    def noise_at(self, z_BL: Tensor, log_snr_BL: Tensor) -> Tensor:
        """(1-α)·(1-s) on the mask, (1-α)·s/(V-1) on every other id."""
        log_share = self.mixing.log_uniform_share(log_snr_BL)
        on_mask = -torch.expm1(log_share)
        pi = torch.where(z_BL == self.mask_id, on_mask, log_share.exp() / (self.vocab_size - 1))
        return torch.sigmoid(-log_snr_BL) * pi

    def prior(self, token_u: Tensor, kind_u: Tensor) -> Tensor:
        """π at the lowest λ: the mask with probability 1 - s, else one of the V - 1 ids that are not the mask."""
        if self.absorbing:
            return torch.full(token_u.shape, self.mask_id, dtype=torch.long, device=token_u.device)
        token = (token_u * (self.vocab_size - 1)).long().clamp(max=self.vocab_size - 2)
        token = token + (token >= self.mask_id)
        share = float(sigmoid(np.float64(self.mixing.scale * self.span.low + self.mixing.shift)))
        return torch.where(kind_u < share, token, torch.full_like(token, self.mask_id))

    # -- what is needed from the vocabulary -----------------------------------------------------------------------

    @property
    def absorbing(self) -> bool:
        """S underflows to zero on the whole range: only masks carry loss, and log p[x] is enough."""
        return self.mixing.scale * self.span.high + self.mixing.shift < -700.0

    @property
    def reads_z(self) -> bool:
        """The Itakura-Saito part needs log p[z]."""
        return not self.absorbing

    def log_ratio(self, log_snr: Tensor) -> Tensor | None:
        """Log r (float64 inside: λ + log(V-1) - log s)."""
        if self.absorbing:
            return None
        lam = log_snr.double()
        return self._with_clip(self.mixing.log_signal_ratio(lam), lam)

    def _with_clip(self, log_signal_ratio: Tensor, lam: Tensor) -> Tensor:
        return log_signal_ratio if self.log_snr_clip is None else log_signal_ratio + (self._clipped(lam) - lam)

    def _clipped(self, lam: Tensor) -> Tensor:
        return lam if self.log_snr_clip is None else lam.clamp(-self.log_snr_clip, self.log_snr_clip)

    def scored(self, x: Tensor, z: Tensor) -> Tensor | None:
        """Masks alone, if noise makes nothing else."""
        return z == self.mask_id if self.absorbing else None

    # -- training loss: w·(KL + β_is·IS), the NELBO integrand times p(λ) (its code: loss.py) --------------------------

    def loss_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """w·KL + beta_is_div·w·IS per token."""
        weight, kl, itakura_saito = self.parts(numbers, x, z, log_snr)
        if self.loss_weight_clip is not None:
            weight = weight.clamp(max=self.loss_weight_clip)
        return (weight * (kl + self.beta_is_div * itakura_saito)).to(numbers.log_p_x.dtype)

    # -- bound: w·(KL + IS)/p(λ) (docs/derivations.md#nelbo) ---------------------------------------

    def bound_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """(w/p(λ))·(KL + IS) per token, no clips."""
        return sum_of_parts(self.bound_parts(numbers, x, z, log_snr), numbers.log_p_x.dtype)

    def bound_parts(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> dict[str, Tensor]:
        """(w/p(λ))·KL and (w/p(λ))·IS, float64."""
        weight, kl, itakura_saito = self.parts(numbers, x, z, log_snr)
        lam = log_snr.double()
        weight = weight / (torch.sigmoid(lam) * torch.sigmoid(-lam))
        return {"kl": weight * kl, "itakura_saito": weight * itakura_saito}

    def parts(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weight w(λ, z, x), KL(Q‖P) and IS = ρ - log ρ - 1 at ρ = Q_z/P_z, float64, each the shape of x.

        w = (π-π')/(π + e^λ·1[z=x]) becomes 1 + scale·s on the mask, k = 1 - scale·(1-s) on other tokens, and
        k/(1+r) where z = x; the divergences are those of `noise.divergence`.
        """
        lam, log_p_x = log_snr.double(), numbers.log_p_x.double()
        clipped = self._clipped(lam)
        alpha = torch.sigmoid(clipped)
        is_mask, is_clean, is_lost = z == self.mask_id, z == x, x == self.mask_id
        if self.absorbing:  # c → 0: KL = -α log p[x] wherever it counts
            kl, itakura_saito = -alpha * log_p_x, torch.zeros_like(lam)
            weight = is_mask.double()
        else:
            share = self.mixing.log_uniform_share(lam).exp()
            signal = self.mixing.log_signal_ratio(lam)
            log_ratio = self._with_clip(signal, lam)
            kl, itakura_saito = divergences(numbers, clipped, log_ratio, is_clean, silent=is_mask)
            scale = self.mixing.scale
            other = 1.0 - scale * (1.0 - share)
            at_clean = other * torch.sigmoid(-signal)
            weight = torch.where(is_mask, 1.0 + scale * share, torch.where(is_clean, at_clean, other))
        if bool(is_lost.any()):
            weight, kl, itakura_saito = self._where_the_mask_is_text(
                is_lost, is_mask, numbers, lam, weight, kl, itakura_saito
            )
        return weight, kl, itakura_saito

    def _where_the_mask_is_text(
        self,
        is_lost: Tensor,
        is_mask: Tensor,
        numbers: TokenNumbers,
        lam: Tensor,
        weight: Tensor,
        kl: Tensor,
        itakura_saito: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same three for x = mask, which no tokenizer makes but the formula covers: p[x] = 0, m = (1-α)(1-s).

        KL = c·Σ_v log(c/(αp_v + c)) + (α+m)·log((α+m)/m); at z = mask ρ = (α+m)/m and w gains e^λ below.
        """
        alpha, rest = torch.sigmoid(self._clipped(lam)), torch.sigmoid(-self._clipped(lam))
        share = self.mixing.log_uniform_share(lam).exp()
        on_mask = rest * (1.0 - share)
        log_ratio = torch.log1p(alpha / on_mask)
        tokens = torch.zeros_like(lam)
        if numbers.excess is not None:
            log_r = self.log_ratio(lam)
            assert log_r is not None
            tokens = alpha * torch.exp(-log_r) * numbers.excess.double() - alpha
        lost_kl = tokens + (alpha + on_mask) * log_ratio
        lost_weight = (1.0 - share) * (1.0 + self.mixing.scale * share) / ((1.0 - share) + lam.exp())
        here = is_lost & is_mask
        lost_is = h(-alpha / (alpha + on_mask), -log_ratio)
        never = here & (on_mask == 0)  # uniform noise makes no mask: infinite divergences of weight zero
        weight = torch.where(here, lost_weight, weight)
        kl, itakura_saito = torch.where(is_lost, lost_kl, kl), torch.where(here, lost_is, itakura_saito)
        return weight, kl.masked_fill(never, 0.0), itakura_saito.masked_fill(never, 0.0)

    # -- reverse step (its code: sampling.py) -----------------------------------------------------------------------

    def reverse(self, logits_BLV: Tensor, z_BL: Tensor, log_snr_t: Tensor | float, log_snr_s: Tensor | float) -> Tensor:
        """p(v) ∝ q_s(v|x̂)·q(z|v), normalised by q_t(z|x̂); an impossible z falls back to the best guess q_s(·|x̂)."""
        lam_t, lam_s = self._levels(z_BL, logits_BLV.dtype, log_snr_t, log_snr_s)
        x_hat = self.predict(logits_BLV)
        alpha_s = torch.sigmoid(lam_s).unsqueeze(-1)
        q_s = alpha_s * x_hat + torch.sigmoid(-lam_s).unsqueeze(-1) * self.mixing.probabilities(lam_s)
        keep, noise = self.mixing.transition_noise(lam_t, lam_s)
        likelihood = noise.gather(-1, z_BL.unsqueeze(-1)).expand_as(q_s).clone()
        likelihood.scatter_add_(-1, z_BL.unsqueeze(-1), keep.unsqueeze(-1))
        joint = q_s * likelihood
        total = joint.sum(-1, keepdim=True)
        return torch.where(total > 0, joint / total.clamp(min=torch.finfo(joint.dtype).tiny), q_s)

    # -- condition: none (the network reads λ in no form) ---------------------------------------------------------
