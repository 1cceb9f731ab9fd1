"""What every family says, in this order: forward process, training loss, bound, reverse step.

A family turns the three numbers a token of `model.head` into its loss and its bound, so no family file holds a
vocabulary-wide sum. Shapes: B sequences, L positions, V vocabulary; λ is the log-SNR.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from difflaw.model.head import TokenNumbers, numbers_from_logits
from difflaw.noise.clock import LogSnrRange
from difflaw.noise.conditioning import Conditioning


@dataclass(frozen=True)
class Corrupted:
    """A training batch after the forward process; all tensors (B, L) but ``attention``.

    ``x_BL`` are the targets (they differ from the input where empty tokens went in), ``z_BL`` what the network
    reads, ``noised_BL`` is True on the tokens that are scored, ``attention`` (B, L, L) True = may attend, or None.
    """

    x_BL: Tensor
    z_BL: Tensor
    log_snr_BL: Tensor
    noised_BL: Tensor
    attention: Tensor | None = None


class Family(ABC):
    """A way to model text. Frozen after construction; every method is pure."""

    name: ClassVar[str]
    causal: ClassVar[bool] = False
    """Whether the network runs with causal attention."""
    exact: ClassVar[bool] = False
    """Whether the bound is the exact negative log-likelihood, with no noise to draw."""

    def __init__(
        self,
        vocab_size: int,
        mask_id: int,
        *,
        bos_id: int = 0,
        pad_id: int = 2,
        span: LogSnrRange | None = None,
        conditioning: Conditioning | None = None,
    ) -> None:
        if not 0 <= mask_id < vocab_size:
            raise ValueError(f"mask_id {mask_id} lies outside the vocabulary of {vocab_size}")
        self.vocab_size, self.mask_id, self.bos_id, self.pad_id = vocab_size, mask_id, bos_id, pad_id
        self.span = span or LogSnrRange()
        self.conditioning = conditioning or Conditioning()

    # -- forward process ------------------------------------------------------------------------------------

    @abstractmethod
    def corrupt(self, x_BL: Tensor, sample_index_B: Tensor | np.ndarray, seed: int) -> Corrupted:
        """The batch the network is trained on: a pure function of (x, sample index, seed)."""

    @abstractmethod
    def noise(self, x_BL: Tensor, log_snr_BL: Tensor, sample_index_B: np.ndarray, seed: int) -> Tensor:
        """Z ~ q_λ(·|x) at a given λ, (B, L): what evaluation uses with its own λ."""

    # -- what loss and bound need from the vocabulary ---------------------------------------------------------

    def log_ratio(self, log_snr: Tensor) -> Tensor | None:
        """Log r for the third number, or None where a family needs only log p[x]."""
        return None

    @property
    def reads_z(self) -> bool:
        """Whether loss or bound need log p[z]."""
        return False

    # -- training loss, bound ---------------------------------------------------------------------------------

    @abstractmethod
    def loss_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """Training loss per token in nats, the shape of x."""

    @abstractmethod
    def bound_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """NELBO integrand over p(λ), nats, the shape of x: its mean over λ ~ p = σ(λ)σ(-λ) is the NELBO."""

    def numbers(self, logits_BLV: Tensor, x_BL: Tensor, z_BL: Tensor, log_snr_BL: Tensor) -> TokenNumbers:
        """The three numbers from full logits, in their float type; training takes them from hidden states."""
        z = z_BL if self.reads_z else None
        return numbers_from_logits(logits_BLV, x_BL, self.mask_id, z, self.log_ratio(log_snr_BL))

    def loss(self, logits_BLV: Tensor, x_BL: Tensor, z_BL: Tensor, log_snr_BL: Tensor) -> Tensor:
        """Training loss per token (B, L) from full logits."""
        return self.loss_of(self.numbers(logits_BLV, x_BL, z_BL, log_snr_BL), x_BL, z_BL, log_snr_BL)

    def bound(self, logits_BLV: Tensor, x_BL: Tensor, z_BL: Tensor, log_snr_BL: Tensor) -> Tensor:
        """NELBO integrand per token (B, L) from full logits, unclipped."""
        return self.bound_of(self.numbers(logits_BLV, x_BL, z_BL, log_snr_BL), x_BL, z_BL, log_snr_BL)

    # -- reverse step -----------------------------------------------------------------------------------------

    @abstractmethod
    def reverse(self, logits_BLV: Tensor, z_BL: Tensor, log_snr_t: Tensor, log_snr_s: Tensor) -> Tensor:
        """p(z_s | z_t) with the network's prediction in place of x, (B, L, V); λ_s > λ_t, shapes (B, L) or scalar."""

    def predict(self, logits_BLV: Tensor) -> Tensor:
        """Softmax with the mask suppressed, (B, L, V)."""
        logits = logits_BLV.clone()
        logits[..., self.mask_id] = -torch.inf
        return logits.softmax(-1)
