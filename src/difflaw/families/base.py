"""What every family says, in this order: itself, forward process, loss, bound, reverse step, samplers, condition.

Whatever the rest of the package does differently for one family than for another is asked here, so that a family is
added by writing its class (`difflaw.families.register` makes one from elsewhere known): no other file lists them.

A family turns the three numbers a token of `model.head` into its loss and its bound, so no family file holds a
vocabulary-wide sum. Shapes: B sequences, L positions, V vocabulary; λ is the log-SNR.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from difflaw.errors import InputError
from difflaw.model.head import TokenNumbers, numbers_from_logits
from difflaw.model.soft import SoftTokens
from difflaw.noise.clock import LogSnrRange
from difflaw.noise.conditioning import Conditioning


@dataclass(frozen=True)
class Corrupted:
    """A batch after the forward process; tensors (B, L) unless said otherwise.

    ``x_BL`` are the targets in the order the network reads them (Eso-LM shuffles; empty tokens may have gone in),
    ``z_BL`` what it reads, ``noised_BL`` is True on the tokens that are scored. The rest says how it reads:
    """

    x_BL: Tensor
    z_BL: Tensor
    log_snr_BL: Tensor
    noised_BL: Tensor
    attention: Tensor | None = None
    """(B, L, L) or (L, L), True = may attend; None is the network's default."""
    positions_BL: Tensor | None = None
    """Where each token stands in the text; None is 0 … L-1."""
    clean_BL: Tensor | None = None
    """A clean copy of the sequence, read behind z: one pass over [z ; clean], of which the first L outputs count."""
    reads_clean_B: Tensor | None = None
    """Rows (B,) that read [z ; clean copy]; None is all of them, when there is a copy."""
    clean_copy_attention: Tensor | None = None
    """(2L, 2L) for the rows that read [z ; clean]."""
    soft: SoftTokens | None = None
    """What the network reads in place of z's embeddings (Duo's curriculum)."""
    importance_BL: Tensor | None = None
    """p(λ)/q(λ) where training draws λ from another density q; multiplies the loss."""


class Family(ABC):
    """A way to model text. Frozen after construction; every method is pure."""

    # -- what it is: the first six are literals, which `families.registry` can read without loading torch -------

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other spellings of its name."""
    variants: ClassVar[dict[str, dict[str, Any]]] = {}
    """Names of its own for some of its options: what a ladder calls ``masked`` is GIDD's {"noise_type": "masked"}."""
    styles: ClassVar[dict[str, tuple[str, str]]] = {}
    """How figures draw it, by its name or its variants': hex colour, and a marker by plotly's name for it."""
    paper: ClassVar[str] = ""
    """One line for the model card: what it is, and the paper."""
    reads_clean_copy: ClassVar[bool] = False
    """Whether some rows read [z ; clean copy], twice the positions: `passes` says how many."""
    causal: ClassVar[bool] = False
    """Whether the network runs with causal attention."""
    can_infill: ClassVar[bool] = True
    """Whether any set of positions can be given and the rest filled in."""
    exact: bool = False
    """Whether the bound is the exact negative log-likelihood, with no noise to draw."""
    block_length: int | None = None
    """Tokens of a block, where the network itself reads and writes in blocks."""

    @property
    def described(self) -> str:
        """What messages call it; its name, and the option that matters most, if any."""
        return self.name

    @property
    def absorbing(self) -> bool:
        """Whether noise is nothing but masks, so that what is written stays and only masks carry loss."""
        return False

    @property
    def published_shift(self) -> float:
        """Value of ``noise_type`` in an export's config: GIDD's shift, or the nearest to it (±1000 are the ends)."""
        return -1000.0

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
    def corrupt_at(self, x_BL: Tensor, log_snr_B: np.ndarray, sample_index_B: np.ndarray, seed: int) -> Corrupted:
        """The batch evaluation judges, one given λ a sequence: every token noised, no prompt, no empty tokens."""

    def passes(self, context: int) -> tuple[tuple[float, int], ...]:
        """(share of the sequences, length of their pass in units of the context): what the network costs."""
        return ((1.0, 1),)

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

    def scored(self, x: Tensor, z: Tensor) -> Tensor | None:
        """Where a token can carry loss, the shape of x; None is everywhere. Elsewhere no numbers are computed."""
        return None

    def bound_parts(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> dict[str, Tensor]:
        """Terms of the bound by name, the shape of x, where it has several (KL and Itakura-Saito); else empty."""
        return {}

    def numbers(self, logits_BLV: Tensor, x_BL: Tensor, z_BL: Tensor, log_snr_BL: Tensor) -> TokenNumbers:
        """The three numbers from full logits, in their float type; training takes them from hidden states."""
        z = z_BL if self.reads_z else None
        return numbers_from_logits(logits_BLV, x_BL, self.mask_id, z, self.log_ratio(log_snr_BL))

    def loss(self, logits_BLV: Tensor, x_BL: Tensor, z_BL: Tensor, log_snr_BL: Tensor) -> Tensor:
        """Training loss per token (B, L) from full logits; InputError names an argument that does not fit."""
        self._check_arguments(logits_BLV, x_BL, z_BL, log_snr_BL)
        return self.loss_of(self.numbers(logits_BLV, x_BL, z_BL, log_snr_BL), x_BL, z_BL, log_snr_BL)

    def bound(self, logits_BLV: Tensor, x_BL: Tensor, z_BL: Tensor, log_snr_BL: Tensor) -> Tensor:
        """NELBO integrand per token (B, L) from full logits, unclipped; InputError as for `loss`."""
        self._check_arguments(logits_BLV, x_BL, z_BL, log_snr_BL)
        return self.bound_of(self.numbers(logits_BLV, x_BL, z_BL, log_snr_BL), x_BL, z_BL, log_snr_BL)

    # -- reverse step -----------------------------------------------------------------------------------------

    @abstractmethod
    def reverse(self, logits_BLV: Tensor, z_BL: Tensor, log_snr_t: Tensor | float, log_snr_s: Tensor | float) -> Tensor:
        """p(z_s | z_t) with the network's prediction in place of x, (B, L, V).

        λ_s > λ_t, each a number or of a shape that broadcasts to (B, L); InputError otherwise.
        """

    def predict(self, logits_BLV: Tensor) -> Tensor:
        """Softmax with the mask suppressed, (B, L, V): what each token is, given all *others*.

        Derivation: docs/derivations.md#leave-one-out.
        """
        logits = logits_BLV.clone()
        logits[..., self.mask_id] = -torch.inf
        return logits.softmax(-1)

    # -- samplers -----------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def samplers(self) -> tuple[str, ...]:
        """Names in `sample.registry` of the samplers that can write for it, its default first."""

    # -- condition: what the network reads besides tokens -------------------------------------------------------

    def condition(self, log_snr_BL: Tensor) -> Tensor:
        """σ for a backbone with adaLN, (B, 1) or (B, L); zero by default, which makes adaLN a learned constant."""
        return torch.zeros_like(log_snr_BL[:, :1])

    # -- arguments --------------------------------------------------------------------------------------------

    def _check_arguments(self, logits: Tensor, x: Tensor, z: Tensor, log_snr: Tensor) -> None:
        if logits.shape[-1] != self.vocab_size:
            raise InputError(f"logits: last axis is {logits.shape[-1]}, the vocabulary has {self.vocab_size} ids")
        for name, ids in (("x", x), ("z", z)):
            if ids.shape != logits.shape[:-1]:
                raise InputError(f"{name}: shape {tuple(ids.shape)}, the logits ask for {tuple(logits.shape[:-1])}")
            if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < self.vocab_size:
                raise InputError(f"{name}: an id lies outside the vocabulary of {self.vocab_size}")
        if log_snr.isnan().any():
            raise InputError("log_snr: NaN")

    def _levels(self, z: Tensor, dtype: torch.dtype, t: Tensor | float, s: Tensor | float) -> tuple[Tensor, Tensor]:
        """λ_t and λ_s in the shape of z; InputError unless the step goes from more noise to less."""
        low, high = (torch.as_tensor(lam, device=z.device).to(dtype).expand(z.shape) for lam in (t, s))
        if not bool((high > low).all()):
            raise InputError("log_snr_s: a reverse step goes to less noise, so it must exceed log_snr_t everywhere")
        return low, high

    def _check_range(self, log_snr: np.ndarray) -> None:
        """λ that training or evaluation draws lies in ``span``."""
        if not np.all((log_snr >= self.span.low - 1e-6) & (log_snr <= self.span.high + 1e-6)):
            raise InputError(
                f"log_snr: a value lies outside this family's range [{self.span.low:g}, {self.span.high:g}]; "
                "widen it with span="
            )
