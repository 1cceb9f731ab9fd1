"""BD3-LM: block diffusion, masked diffusion inside blocks that follow one another (Arriola et al., 2503.09573).

log p(x) = Σ_b log p(x_b | x_<b), each term bounded by MDLM's NELBO. All blocks are trained in one pass over
[z ; clean]. Notation: α = σ(λ) = 1 - t, one λ per block. Block length 1 is autoregression (t ≡ 1, so the likelihood is
exact), block length = context is MDLM.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from difflaw.errors import InputError
from difflaw.families.attention_masks import block_diffusion
from difflaw.families.base import Corrupted
from difflaw.families.mdlm import Mdlm
from difflaw.noise.clock import LogSnrRange
from difflaw.noise.conditioning import Conditioning


class Block(Mdlm):
    """Blocks of ``block_length`` tokens from left to right, masked diffusion inside each."""

    name: ClassVar[str] = "block"
    aliases: ClassVar[tuple[str, ...]] = ("bd3lm", "bd3-lm", "block-diffusion")
    styles: ClassVar[dict[str, tuple[str, str]]] = {"block": ("#828282", "triangle-left")}
    paper: ClassVar[str] = "block diffusion, 2503.09573"
    reads_clean_copy: ClassVar[bool] = True
    block_length: int

    def __init__(
        self,
        vocab_size: int,
        mask_id: int,
        *,
        block_length: int = 16,
        objective: str = "low-variance",
        bos_id: int = 0,
        pad_id: int = 2,
        span: LogSnrRange | None = None,
        conditioning: Conditioning | None = None,
    ) -> None:
        """``block_length`` must divide the context; ``objective`` as in `Mdlm`."""
        if block_length < 1:
            raise ValueError(f"block_length must be a positive whole number, got {block_length}")
        own = {"bos_id": bos_id, "pad_id": pad_id, "span": span, "conditioning": conditioning}
        super().__init__(vocab_size, mask_id, objective=objective, **own)
        self.block_length = block_length
        self.exact = self.block_length == 1

    # -- forward process: masks with probability 1 - α, one λ per block; a clean copy read behind z -----------------

    def corrupt(self, x_BL: Tensor, sample_index_B: Tensor | np.ndarray, seed: int) -> Corrupted:
        """A training batch: λ per block, prompts and empty tokens as in every family."""
        index, length = np.asarray(sample_index_B), x_BL.shape[1]
        x = self.conditioning.with_empty_tokens(x_BL.cpu().numpy(), self.pad_id, index, seed)
        noised = self.conditioning.noised(length, index, seed)
        time = self.conditioning.times(index, seed, self.blocks(length))
        log_snr = np.repeat(self.span.from_uniform(time), self.block_length, axis=1)
        return self._with_clean_copy(x, noised, log_snr, index, seed, x_BL.device)

    def corrupt_at(self, x_BL: Tensor, log_snr_B: np.ndarray, sample_index_B: np.ndarray, seed: int) -> Corrupted:
        """All blocks at one given λ a sequence: unbiased, since the bound is a sum over blocks."""
        self._check_range(log_snr_B)
        x = x_BL.cpu().numpy()
        self.blocks(x.shape[1])
        log_snr = np.repeat(np.asarray(log_snr_B, dtype=np.float64)[:, None], x.shape[1], 1)
        return self._with_clean_copy(x, np.ones(x.shape, bool), log_snr, np.asarray(sample_index_B), seed, x_BL.device)

    def _with_clean_copy(
        self, x: np.ndarray, noised: np.ndarray, log_snr: np.ndarray, index: np.ndarray, seed: int, device: torch.device
    ) -> Corrupted:
        if self.exact:
            log_snr = np.full_like(log_snr, -np.inf)  # t = 1: every token is masked, with weight 1
        z = np.where(noised, self.sample(x, log_snr, index, seed), x)
        length = x.shape[1]
        clean, several = torch.from_numpy(x).to(device), self.blocks(length) > 1
        return Corrupted(
            x_BL=clean,
            z_BL=torch.from_numpy(z).to(device),
            log_snr_BL=torch.from_numpy(log_snr).to(device, torch.float32),
            noised_BL=torch.from_numpy(noised).to(device),
            clean_BL=clean if several else None,
            clean_copy_attention=block_diffusion(length, self.block_length).to(device) if several else None,
        )

    def blocks(self, length: int) -> int:
        """Blocks in ``length`` tokens; InputError where the block length does not divide it."""
        if length % self.block_length:
            raise InputError(
                f"block_length {self.block_length} does not divide the context of {length}; "
                f"lengths that do: {', '.join(str(d) for d in range(1, length + 1) if length % d == 0)}"
            )
        return length // self.block_length

    def passes(self, context: int) -> tuple[tuple[float, int], ...]:
        """Every row reads 2L positions, or L where the block is the whole context."""
        return ((1.0, 2 if self.blocks(context) > 1 else 1),)

    # -- training loss, bound: MDLM's on each block; reverse step: MDLM's inside the block that is being written;
    #    condition: none
