"""Autoregressive baseline: one token from those before it, exact likelihood.

The network reads [BOS, x_1 … x_{L-1}] under causal attention and predicts x_1 … x_L, so that the same L tokens
are scored as in every diffusion family.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from difflaw.errors import InputError
from difflaw.families.base import Corrupted, Family
from difflaw.model.head import TokenNumbers


class Autoregressive(Family):
    """-log p(x_l | x_<l); there is no noise, so loss and bound are the same number."""

    name: ClassVar[str] = "autoregressive"
    aliases: ClassVar[tuple[str, ...]] = ("ar",)
    styles: ClassVar[dict[str, tuple[str, str]]] = {"autoregressive": ("#141414", "square")}
    paper: ClassVar[str] = "autoregressive baseline"
    causal: ClassVar[bool] = True
    can_infill: ClassVar[bool] = False
    exact: bool = True

    # -- forward process: the one-token shift -------------------------------------------------------------------

    def corrupt(self, x_BL: Tensor, sample_index_B: Tensor | np.ndarray, seed: int) -> Corrupted:
        """Shift by one; conditioning does not apply (every prefix is a prompt already)."""
        z_BL = torch.cat([torch.full_like(x_BL[:, :1], self.bos_id), x_BL[:, :-1]], dim=1)
        log_snr = torch.full(x_BL.shape, self.span.high, device=x_BL.device)
        return Corrupted(x_BL, z_BL, log_snr, torch.ones_like(x_BL, dtype=torch.bool))

    def corrupt_at(self, x_BL: Tensor, log_snr_B: np.ndarray, sample_index_B: np.ndarray, seed: int) -> Corrupted:
        """The same for any λ."""
        return self.corrupt(x_BL, sample_index_B, seed)

    # -- training loss, bound -----------------------------------------------------------------------------------

    def loss_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """-log p(x_l | x_<l)."""
        return -numbers.log_p_x

    def bound_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """The same: the likelihood is exact."""
        return -numbers.log_p_x

    # -- reverse step -------------------------------------------------------------------------------------------

    def reverse(self, logits_BLV: Tensor, z_BL: Tensor, log_snr_t: Tensor | float, log_snr_s: Tensor | float) -> Tensor:
        """Distribution of each next token, (B, L, V); λ has no meaning here."""
        if bool((z_BL == self.mask_id).any()):
            raise InputError("z: holds the mask; autoregressive predicts the next token only and cannot fill in")
        return self.predict(logits_BLV)

    # -- samplers; condition: none --------------------------------------------------------------------------------

    @property
    def samplers(self) -> tuple[str, ...]:
        """The one there is."""
        return ("left-to-right",)
