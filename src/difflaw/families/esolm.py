"""Eso-LM: between masked diffusion and autoregression (Sahoo et al., 2506.01928; variant B as in 2602.15014).

A share α₀ of the tokens is made by any-order masked diffusion, the rest from left to right. Notation: α = σ(λ) = 1 - t.
The paper's two expectations become one over λ ~ p(λ): rows with α ≤ α₀ are in the diffusion phase at α; rows with
α > α₀, of which there are 1 - α₀, stay at α₀ and are in the sequential phase. With a = min(α, α₀)

    NELBO = E_λ E_z Σ_masked -log p[x] / (1 - a),

since α'/(1-α)·dt = p(λ)dλ/(1-α) below α₀, and above it (1-α₀)·1/(1-α₀) = 1 counts the sequential sum once. α₀ = 1 is
any-order masked diffusion (what 2602.15014 scales), α₀ = 0 autoregression. The paper instead puts half of the rows in
each phase: another variance, the same bound (docs/derivations.md#esolm).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from difflaw.families.attention_masks import clean_bidirectional, sequential, sequential_prefix
from difflaw.families.base import Corrupted
from difflaw.families.mdlm import Mdlm
from difflaw.model.head import TokenNumbers
from difflaw.noise.clock import LogSnrRange, sigmoid
from difflaw.noise.conditioning import Conditioning
from difflaw.noise.streams import Stream, uniforms


class EsoLm(Mdlm):
    """Causal attention over a shuffled sequence, so that sampling has one exact key-value cache in both phases."""

    name: ClassVar[str] = "esolm"
    aliases: ClassVar[tuple[str, ...]] = ("eso-lm",)
    styles: ClassVar[dict[str, tuple[str, str]]] = {"esolm": ("#8d6e32", "hexagon")}
    paper: ClassVar[str] = "masked diffusion and autoregression in one, 2506.01928"
    reads_clean_copy: ClassVar[bool] = True
    causal: ClassVar[bool] = True

    def __init__(
        self,
        vocab_size: int,
        mask_id: int,
        *,
        alpha_0: float = 1.0,
        variant: str = "B",
        objective: str | None = None,
        bos_id: int = 0,
        pad_id: int = 2,
        span: LogSnrRange | None = None,
        conditioning: Conditioning | None = None,
    ) -> None:
        """``alpha_0`` is the share diffused; ``variant`` A lets clean tokens see one another; ``objective`` defaults to
        ``low-variance`` at α₀ = 1 and to ``elbo`` below, as in the papers' runs.
        """
        if not 0.0 <= alpha_0 <= 1.0:
            raise ValueError(f"alpha_0 must lie in [0, 1], got {alpha_0}")
        if variant not in ("A", "B"):
            raise ValueError(f"unknown variant {variant!r}: use A or B")
        objective = objective or ("low-variance" if alpha_0 == 1.0 else "elbo")
        own = {"bos_id": bos_id, "pad_id": pad_id, "span": span, "conditioning": conditioning}
        super().__init__(vocab_size, mask_id, objective=objective, **own)
        self.alpha_0, self.variant = alpha_0, variant
        self.exact = alpha_0 == 0.0

    # -- forward process: masks with probability 1 - min(α, α₀), then an order of reading --------------------------

    def corrupt(self, x_BL: Tensor, sample_index_B: Tensor | np.ndarray, seed: int) -> Corrupted:
        """Shuffled rows: clean tokens first, then masked ones, each with its position (its code: algo.py).

        Prompts and empty tokens are as in every family; λ is one per sequence, since it decides the phase.
        """
        index, length = np.asarray(sample_index_B), x_BL.shape[1]
        x = self.conditioning.with_empty_tokens(x_BL.cpu().numpy(), self.pad_id, index, seed)
        noised = self.conditioning.noised(length, index, seed)
        log_snr = self.span.from_uniform(self.conditioning.times(index, seed)[:, 0])
        return self._ordered(x, noised, log_snr, index, seed, x_BL.device)

    def corrupt_at(self, x_BL: Tensor, log_snr_B: np.ndarray, sample_index_B: np.ndarray, seed: int) -> Corrupted:
        """The same at given λ: no prompt, no empty tokens."""
        self._check_range(log_snr_B)
        x = x_BL.cpu().numpy()
        everything = np.ones(x.shape, dtype=bool)
        return self._ordered(x, everything, np.asarray(log_snr_B), np.asarray(sample_index_B), seed, x_BL.device)

    def _ordered(
        self,
        x: np.ndarray,
        noised: np.ndarray,
        log_snr_B: np.ndarray,
        index: np.ndarray,
        seed: int,
        device: torch.device,
    ) -> Corrupted:
        length = x.shape[1]
        alpha = sigmoid(log_snr_B)
        sequential_rows = alpha > self.alpha_0 if self.alpha_0 > 0 else np.ones(len(x), dtype=bool)
        kept = uniforms(seed, Stream.CORRUPTION, index, 3, length)[:, 0] < np.minimum(alpha, self.alpha_0)[:, None]
        masked = noised & ~kept
        order = reading_order(masked, sequential_rows, uniforms(seed, Stream.ORDER, index, length))
        x, noised, masked = (np.take_along_axis(a, order, 1) for a in (x, noised, masked))
        clean_count = torch.from_numpy((~masked).sum(1)).to(device)
        variant_a, any_sequential = self.variant == "A", bool(sequential_rows.any())
        clean = torch.from_numpy(x).to(device)
        attention = clean_copy_attention = None
        if variant_a and not sequential_rows.all():
            attention = clean_bidirectional(length, clean_count[torch.from_numpy(~sequential_rows).to(device)])
        if any_sequential:
            rows = torch.from_numpy(sequential_rows).to(device)
            clean_copy_attention = (
                sequential_prefix(length, clean_count[rows]) if variant_a else sequential(length).to(device)
            )
        return Corrupted(
            x_BL=clean,
            z_BL=torch.from_numpy(np.where(masked, self.mask_id, x)).to(device),
            log_snr_BL=torch.from_numpy(np.repeat(log_snr_B[:, None], length, 1)).to(device, torch.float32),
            noised_BL=torch.from_numpy(noised).to(device),
            attention=attention,
            positions_BL=torch.from_numpy(order).to(device),
            clean_BL=clean if any_sequential else None,
            reads_clean_B=torch.from_numpy(sequential_rows).to(device) if any_sequential else None,
            clean_copy_attention=clean_copy_attention,
        )

    def passes(self, context: int) -> tuple[tuple[float, int], ...]:
        """A share α₀ of the rows reads L positions, the rest 2L."""
        return tuple((share, length) for share, length in ((self.alpha_0, 1), (1.0 - self.alpha_0, 2)) if share > 0)

    # -- training loss: MDLM's low-variance loss (α₀ = 1), else the bound's integrand --------------------------------

    def loss_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """-log p[x] on masks; sequential rows keep their weight 1/(1-α₀), which is no source of variance."""
        if self.objective == "elbo":
            return self.bound_of(numbers, x, z, log_snr)
        diffused = torch.sigmoid(log_snr.double()) <= self.alpha_0
        weight = torch.where(diffused, 1.0, 1.0 / self.masked_share(log_snr)) * (z == self.mask_id)
        return (-numbers.log_p_x * weight).to(numbers.log_p_x.dtype)

    # -- bound: E[1[z = mask]·(-log p[x])/(1 - min(α, α₀))] -----------------------------------------------------------

    def masked_share(self, log_snr: Tensor) -> Tensor:
        """1 - min(α, α₀), float64."""
        return super().masked_share(log_snr).clamp(min=1.0 - self.alpha_0)

    # -- reverse step: MDLM's, on the shuffled sequence (its code: algo.py; here `sample.two_phase`); condition: none --

    @property
    def samplers(self) -> tuple[str, ...]:
        """Its own: attention is causal over the order of writing, which no other sampler keeps."""
        return ("two-phase",)


def reading_order(masked_BL: np.ndarray, sequential_B: np.ndarray, u_BL: np.ndarray) -> np.ndarray:
    """Permutation (B, L): clean tokens first in random order, then the masked ones.

    Masked tokens are in random order in the diffusion phase and from left to right in the sequential one.
    """
    length = masked_BL.shape[1]
    left_to_right = np.arange(length) / length
    within = np.where(masked_BL & sequential_B[:, None], left_to_right, u_BL)
    return np.argsort(masked_BL + 0.9 * within, axis=1, kind="stable")
