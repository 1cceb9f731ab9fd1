"""The frame of every diffusion family: empty tokens, clean prompts, λ, then its own noise; where sampling starts.

A family of this kind says `sample` and `noise_at` (its forward process q_λ), `prior` (what q_λ tends to), its loss, its
bound and its reverse step. Shapes: B sequences, L positions, V vocabulary.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from difflaw.families.base import Corrupted, Family
from difflaw.families.leave_one_out import to_leave_one_out, to_posterior
from difflaw.noise.conditioning import prompt_attention

TOKENWISE = ("ancestral", "greedy-tail", "adaptive", "psi")
"""Samplers that need nothing but a reverse step."""


class Diffusion(Family):
    """A family that draws z ~ q_λ(·|x) = α·1[z = x] + (1-α)·π_λ(z) token by token."""

    @abstractmethod
    def sample(self, x: np.ndarray, log_snr: np.ndarray, index: np.ndarray, seed: int) -> np.ndarray:
        """Z ~ q_λ(·|x) for x and λ of shape (B, L), row i drawn from (seed, index[i]) alone."""

    @abstractmethod
    def noise_at(self, z_BL: Tensor, log_snr_BL: Tensor) -> Tensor:
        """(1-α)·π_λ(z): the chance that noise makes z, (B, L), in λ's float type."""

    @abstractmethod
    def prior(self, token_u: Tensor, kind_u: Tensor) -> Tensor:
        """Tokens (B, N) from π at the lowest λ of `span`, what sampling starts from, from two uniforms a place.

        ``token_u`` says which random token, ``kind_u`` whether mask or random token; float64 in [0, 1), (B, N) each.
        """

    @property
    def samplers(self) -> tuple[str, ...]:
        """Token-wise ones, and those for masks alone or for text in which any token may be revised."""
        more = ("entropy-bounded", "remdm", "first-hitting") if self.absorbing else ("self-correction",)
        return (*TOKENWISE, *more)

    def posterior(self, logits_BLV: Tensor, z_BL: Tensor, log_snr: Tensor | float) -> Tensor:
        """p(x_l | all of z), (B, L, V): `predict`, which leaves z_l out, times q(z_l|x) (Bayes)."""
        lam = torch.as_tensor(log_snr, device=z_BL.device).to(logits_BLV.dtype).expand(z_BL.shape)
        return to_posterior(self.predict(logits_BLV), z_BL, torch.sigmoid(lam), self.noise_at(z_BL, lam))

    def leave_one_out(self, posterior_BLV: Tensor, z_BL: Tensor, log_snr: Tensor | float) -> Tensor:
        """What `predict` would be, (B, L, V), from a posterior p(x_l | all of z); InputError where it is lost."""
        lam = torch.as_tensor(log_snr, device=z_BL.device).to(posterior_BLV.dtype).expand(z_BL.shape)
        return to_leave_one_out(posterior_BLV, z_BL, torch.sigmoid(lam), self.noise_at(z_BL, lam))

    def corrupt(self, x_BL: Tensor, sample_index_B: Tensor | np.ndarray, seed: int) -> Corrupted:
        """A training batch on x's device, in the order of 2512.10858's code (_fn.py, prepare_batch).

        Empty tokens go in, prompts are chosen, then λ is drawn and z from it; prompts stay clean, at the highest λ.
        """
        index, device, length = np.asarray(sample_index_B), x_BL.device, x_BL.shape[1]
        x = self.conditioning.with_empty_tokens(x_BL.cpu().numpy(), self.pad_id, index, seed)
        noised = self.conditioning.noised(length, index, seed)
        log_snr = np.where(noised, self.conditioning.log_snr(self.span, length, index, seed), self.span.high)
        z = np.where(noised, self.sample(x, log_snr, index, seed), x)
        attention = prompt_attention(noised)
        return Corrupted(
            torch.from_numpy(x).to(device),
            torch.from_numpy(z).to(device),
            torch.from_numpy(log_snr).to(device, torch.float32),
            torch.from_numpy(noised).to(device),
            None if attention is None else torch.from_numpy(attention).to(device),
        )

    def corrupt_at(self, x_BL: Tensor, log_snr_B: np.ndarray, sample_index_B: np.ndarray, seed: int) -> Corrupted:
        """Z ~ q_λ(·|x) at one given λ a sequence: no prompt, no empty tokens."""
        self._check_range(log_snr_B)
        x = x_BL.cpu().numpy()
        log_snr = np.repeat(np.asarray(log_snr_B, dtype=np.float64)[:, None], x.shape[1], axis=1)
        z = self.sample(x, log_snr, np.asarray(sample_index_B), seed)
        return Corrupted(
            x_BL,
            torch.from_numpy(z).to(x_BL.device),
            torch.from_numpy(log_snr).to(x_BL.device, torch.float32),
            torch.ones_like(x_BL, dtype=torch.bool),
        )
