"""MDLM: masked diffusion with the low-variance training objective (Sahoo et al., 2406.07524 and 2602.15014).

Forward and reverse process are those of masked noise; what differs is what is trained. Notation: α = σ(λ) = 1 - t.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from difflaw.families.gidd import Gidd
from difflaw.model.head import TokenNumbers
from difflaw.noise.clock import LogSnrRange
from difflaw.noise.conditioning import Conditioning

OBJECTIVES = ("low-variance", "elbo")


class Mdlm(Gidd):
    """Masked diffusion trained on unweighted cross-entropy; judged by the NELBO, whose weight is exactly 1/t."""

    name: ClassVar[str] = "mdlm"

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
        own = {"bos_id": bos_id, "pad_id": pad_id, "span": span, "conditioning": conditioning}
        super().__init__(vocab_size, mask_id, noise_type="masked", **own)
        self.objective = objective

    # -- forward process: a token becomes the mask with probability 1 - α (as `Gidd` with s = 0) ---------------------

    # -- training loss (2602.15014 eq. 8; facts: beyond-masked §1.2) -------------------------------------------------

    def loss_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """-log p[x] on masks, zero elsewhere, over all tokens; or the NELBO integrand itself."""
        if self.objective == "elbo":
            return self.bound_of(numbers, x, z, log_snr)
        return -numbers.log_p_x * (z == self.mask_id)

    # -- bound -------------------------------------------------------------------------------------------------------

    def bound_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """-log p[x]/(1-α) on masks, zero elsewhere; 1 - α = t."""
        weight = torch.where(z == self.mask_id, 1.0 / self.masked_share(log_snr), 0.0)
        return (-numbers.log_p_x * weight).to(numbers.log_p_x.dtype)

    def bound_parts(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> dict[str, Tensor]:
        """None: the bound is one term."""
        return {}

    def masked_share(self, log_snr: Tensor) -> Tensor:
        """Chance that a token is masked at λ, float64."""
        return torch.sigmoid(-log_snr.double())

    # -- reverse step: as `Gidd`; SUBS carry-over holds, since q(z_s|z_t) keeps every token that is not the mask
    # -- what the network is told: nothing
