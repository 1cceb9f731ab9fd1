"""The frame of every diffusion family's forward process: empty tokens, clean prompts, λ, then its own noise."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from difflaw.families.base import Corrupted, Family
from difflaw.families.leave_one_out import to_leave_one_out, to_posterior
from difflaw.noise.conditioning import prompt_attention


class Diffusion(Family):
    """A family that draws z ~ q_λ(·|x) token by token; all it must say is `sample`."""

    @abstractmethod
    def sample(self, x: np.ndarray, log_snr: np.ndarray, index: np.ndarray, seed: int) -> np.ndarray:
        """Z ~ q_λ(·|x) for x and λ of shape (B, L), row i drawn from (seed, index[i]) alone."""

    @abstractmethod
    def noise_at(self, z_BL: Tensor, log_snr_BL: Tensor) -> Tensor:
        """(1-α)·π_λ(z): the chance that noise makes z, (B, L), in λ's float type."""

    def posterior(self, logits_BLV: Tensor, z_BL: Tensor, log_snr: Tensor | float) -> Tensor:
        """p(x_l | all of z), (B, L, V): `predict`, which leaves z_l out, times q(z_l|x) (design: ground truth 2)."""
        lam = torch.as_tensor(log_snr, device=z_BL.device).to(logits_BLV.dtype).expand(z_BL.shape)
        return to_posterior(self.predict(logits_BLV), z_BL, torch.sigmoid(lam), self.noise_at(z_BL, lam))

    def leave_one_out(self, posterior_BLV: Tensor, z_BL: Tensor, log_snr: Tensor | float) -> Tensor:
        """What `predict` would be, (B, L, V), from a posterior p(x_l | all of z); InputError where it is lost."""
        lam = torch.as_tensor(log_snr, device=z_BL.device).to(posterior_BLV.dtype).expand(z_BL.shape)
        return to_leave_one_out(posterior_BLV, z_BL, torch.sigmoid(lam), self.noise_at(z_BL, lam))

    def corrupt(self, x_BL: Tensor, sample_index_B: Tensor | np.ndarray, seed: int) -> Corrupted:
        """A training batch on x's device (2512.10858 facts §3.1)."""
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
