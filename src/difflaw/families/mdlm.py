"""MDLM: masked diffusion with the low-variance training objective (Sahoo et al., 2406.07524 and 2602.15014).

Notation: α = σ(λ) = 1 - t the chance that a token survives, m the mask, x̂ = p the network's prediction with the mask
suppressed (SUBS: zero mask probability; that visible tokens carry over is in the reverse step).
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
from difflaw.noise.streams import Stream, uniforms

OBJECTIVES = ("low-variance", "elbo")


class Mdlm(Diffusion):
    """Masked diffusion trained on unweighted cross-entropy; judged by the NELBO, whose weight is exactly 1/t."""

    name: ClassVar[str] = "mdlm"
    styles: ClassVar[dict[str, tuple[str, str]]] = {"mdlm": ("#00897b", "x")}
    paper: ClassVar[str] = "masked diffusion, 2406.07524"

    def __init__(
        self,
        vocab_size: int,
        mask_id: int,
        *,
        objective: str = "low-variance",
        bos_id: int = 0,
        pad_id: int = 2,
        span: LogSnrRange | None = None,
        conditioning: Conditioning | None = None,
    ) -> None:
        """``objective`` is what training minimises."""
        if objective not in OBJECTIVES:
            raise ValueError(f"unknown objective {objective!r}: use {' or '.join(OBJECTIVES)}")
        super().__init__(vocab_size, mask_id, bos_id=bos_id, pad_id=pad_id, span=span, conditioning=conditioning)
        self.objective = objective

    @property
    def absorbing(self) -> bool:
        """Noise is the mask and nothing else."""
        return True

    # -- forward process: q(z|x) = α·1[z=x] + (1-α)·1[z=m] -----------------------------------------------------------

    def sample(self, x: np.ndarray, log_snr: np.ndarray, index: np.ndarray, seed: int) -> np.ndarray:
        """Z ~ q_λ(·|x), (B, L): x stays where the first uniform of `Stream.CORRUPTION` lies below α, else the mask."""
        u = uniforms(seed, Stream.CORRUPTION, index, x.shape[1])
        return np.where(u < sigmoid(log_snr), x, self.mask_id)

    def noise_at(self, z_BL: Tensor, log_snr_BL: Tensor) -> Tensor:
        """1-α on the mask, zero on every other id."""
        return torch.where(z_BL == self.mask_id, torch.sigmoid(-log_snr_BL), torch.zeros_like(log_snr_BL))

    def prior(self, token_u: Tensor, kind_u: Tensor) -> Tensor:
        """Masks, whatever is drawn."""
        return torch.full(token_u.shape, self.mask_id, dtype=torch.long, device=token_u.device)

    # -- what is needed from the vocabulary: log p[x], on masks alone ------------------------------------------------

    def scored(self, x: Tensor, z: Tensor) -> Tensor | None:
        """Masks."""
        return z == self.mask_id

    # -- training loss: -log p[x] on masks (2602.15014 eq. 8; its code: algo.py, `low_var`) --------------------------

    def loss_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """-log p[x] on masks, zero elsewhere, over all tokens; or the NELBO integrand itself."""
        if self.objective == "elbo":
            return self.bound_of(numbers, x, z, log_snr)
        return -numbers.log_p_x * (z == self.mask_id)

    # -- bound: -α'/(1-α)·(-log p[x]) on masks in time, where -α'/(1-α) = 1/t (docs/derivations.md#weights) -----

    def bound_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """-log p[x]/(1-α) on masks, zero elsewhere; 1 - α = t."""
        weight = torch.where(z == self.mask_id, 1.0 / self.masked_share(log_snr), 0.0)
        return (-numbers.log_p_x * weight).to(numbers.log_p_x.dtype)

    def masked_share(self, log_snr: Tensor) -> Tensor:
        """Chance that a token is masked at λ, float64."""
        return torch.sigmoid(-log_snr.double())

    # -- reverse step: z stays if it is no mask; a mask becomes v with (α_s-α_t)/(1-α_t)·x̂_v, else stays a mask ------

    def reverse(self, logits_BLV: Tensor, z_BL: Tensor, log_snr_t: Tensor | float, log_snr_s: Tensor | float) -> Tensor:
        """p(v) = q_s(v|x̂)·q(z|v)/q_t(z|x̂), (B, L, V), which is the line above.

        q_s(v|x̂) = α_s·x̂_v + (1-α_s)·1[v=m] and q(z|v) = κ·1[z=v] + (1-κ)·1[z=m] with κ = α_t/α_s: on a mask the
        numerator is (α_s-α_t)·x̂_v for v ≠ m and 1-α_s for v = m, on a token it is zero but at z. A visible token to
        which the prediction (cut by top-k, say) gives no chance at all has q_t = 0: it falls back to q_s(·|x̂).
        """
        lam_t, lam_s = (lam.unsqueeze(-1) for lam in self._levels(z_BL, logits_BLV.dtype, log_snr_t, log_snr_s))
        alpha_t, alpha_s = torch.sigmoid(lam_t), torch.sigmoid(lam_s)
        beta_t, beta_s = torch.sigmoid(-lam_t), torch.sigmoid(-lam_s)
        q_s = alpha_s * self.predict(logits_BLV)
        q_s[..., self.mask_id] = beta_s.squeeze(-1)
        keep = alpha_t / alpha_s
        is_mask = (z_BL == self.mask_id).unsqueeze(-1)
        likelihood = torch.where(is_mask, (beta_t - keep * beta_s).clamp(min=0.0), 0.0).expand_as(q_s).clone()
        likelihood.scatter_add_(-1, z_BL.unsqueeze(-1), keep)
        joint = q_s * likelihood
        total = joint.sum(-1, keepdim=True)
        return torch.where(total > 0, joint / total.clamp(min=torch.finfo(joint.dtype).tiny), q_s)

    # -- condition: none ---------------------------------------------------------------------------------------------
