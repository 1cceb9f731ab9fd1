"""Duo's base: uniform-state diffusion over all V ids, its ELBO in the stable form (2506.10892; 2602.15014 `DUO_BASE`).

Notation: α = σ(λ), x̂ = p with the mask suppressed, c = (1-α)/V, r = α/c = V·e^λ. Noise may land on the mask id, which
the network never predicts (nor does it in the papers' code, algo.py). The scaling study uses this base alone; Duo's own
runs start with the curriculum of `families.duo_curriculum` and end with the distillation of `training.distillation`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from difflaw.errors import InputError
from difflaw.families.base import Corrupted
from difflaw.families.diffusion import Diffusion
from difflaw.families.duo_curriculum import Curriculum, CurriculumDraw, draw
from difflaw.model.head import TokenNumbers
from difflaw.model.soft import SoftTokens
from difflaw.noise.clock import LogSnrRange, sigmoid
from difflaw.noise.conditioning import Conditioning
from difflaw.noise.divergence import divergences, sum_of_parts
from difflaw.noise.streams import Stream, uniforms


class Duo(Diffusion):
    """Every token jumps to any of the V ids alike; the network learns the leave-one-out posterior."""

    name: ClassVar[str] = "duo"
    styles: ClassVar[dict[str, tuple[str, str]]] = {"duo": ("#8e24aa", "pentagon")}
    paper: ClassVar[str] = "uniform-state diffusion, 2506.10892"

    def __init__(
        self,
        vocab_size: int,
        mask_id: int,
        *,
        curriculum: float = 0.0,
        tau: float = 1e-3,
        gamma_min: float = -3.55,
        gamma_max: float = -1.85,
        top_k: int | None = 8,
        run_sequences: int | None = None,
        bos_id: int = 0,
        pad_id: int = 2,
        span: LogSnrRange | None = None,
        conditioning: Conditioning | None = None,
    ) -> None:
        """``curriculum`` is the share of a run of ``run_sequences`` sequences that it covers; see `Curriculum`."""
        super().__init__(vocab_size, mask_id, bos_id=bos_id, pad_id=pad_id, span=span, conditioning=conditioning)
        self.curriculum = Curriculum(curriculum, tau, gamma_min, gamma_max, top_k)
        self.run_sequences = run_sequences

    @property
    def published_shift(self) -> float:
        """GIDD's uniform noise, which leaves out the mask's id but is else the same."""
        return 1000.0

    # -- forward process: q(z|x) = α·1[z=x] + (1-α)/V ----------------------------------------------------------------

    def sample(self, x: np.ndarray, log_snr: np.ndarray, index: np.ndarray, seed: int) -> np.ndarray:
        """Z ~ q_λ(·|x), (B, L)."""
        u = np.moveaxis(uniforms(seed, Stream.CORRUPTION, index, 3, x.shape[1]), 1, 0)
        token = np.minimum((u[2] * self.vocab_size).astype(np.int64), self.vocab_size - 1)
        return np.where(u[0] < sigmoid(log_snr), x, token)

    def corrupt(self, x_BL: Tensor, sample_index_B: Tensor | np.ndarray, seed: int) -> Corrupted:
        """A training batch; sequences in the run's first part are read as the curriculum says."""
        batch = super().corrupt(x_BL, sample_index_B, seed)
        index = np.asarray(sample_index_B)
        if self.curriculum.share == 0.0:
            return batch
        if self.run_sequences is None:
            raise InputError("run_sequences: the curriculum covers a share of a run, so the run's length must be given")
        early = index < round(self.curriculum.share * self.run_sequences)
        if not early.any():
            return batch
        x, rows = batch.x_BL.cpu().numpy()[early], torch.from_numpy(early).to(x_BL.device)
        time = self.conditioning.times(index[early], seed)
        drawn = draw(self.curriculum, x, time, index[early], seed, self.vocab_size)
        return _with_curriculum(batch, rows, drawn)

    def noise_at(self, z_BL: Tensor, log_snr_BL: Tensor) -> Tensor:
        """(1-α)/V, the same for every id."""
        return (torch.sigmoid(-log_snr_BL) / self.vocab_size).expand(z_BL.shape)

    def prior(self, token_u: Tensor, kind_u: Tensor) -> Tensor:
        """Any of the V ids, the mask's among them."""
        return (token_u * self.vocab_size).long().clamp(max=self.vocab_size - 1)

    # -- what is needed from the vocabulary --------------------------------------------------------------------------

    @property
    def reads_z(self) -> bool:
        """The bound needs log p[z]."""
        return True

    def log_ratio(self, log_snr: Tensor) -> Tensor:
        """Log r = λ + log V."""
        return log_snr.double() + math.log(self.vocab_size)

    # -- training loss: the NELBO integrand itself (the scaling study has no other) ----------------------------------

    def loss_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """The bound's integrand: time is uniform, so λ is already drawn with density p(λ)."""
        return self.bound_of(numbers, x, z, log_snr)

    # -- bound (docs/derivations.md#duo; 2602.15014's code, algo.py `_nll_per_token`, has it in time) ----------

    def bound_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """w·(KL + IS)/p(λ)."""
        return sum_of_parts(self.bound_parts(numbers, x, z, log_snr), numbers.log_p_x.dtype)

    def bound_parts(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> dict[str, Tensor]:
        """w·KL/p(λ) and w·IS/p(λ), float64, w = 1 where z ≠ x and 1/(1+r) where z = x."""
        lam, is_clean = log_snr.double(), z == x
        log_r = self.log_ratio(lam)
        kl, itakura_saito = divergences(numbers, lam, log_r, is_clean, silent=z == self.mask_id)
        weight = torch.where(is_clean, torch.sigmoid(-log_r), torch.ones_like(lam))
        weight = weight / (torch.sigmoid(lam) * torch.sigmoid(-lam))
        return {"kl": weight * kl, "itakura_saito": weight * itakura_saito}

    # -- reverse step ------------------------------------------------------------------------------------------------

    def reverse(self, logits_BLV: Tensor, z_BL: Tensor, log_snr_t: Tensor | float, log_snr_s: Tensor | float) -> Tensor:
        """p(v) = q_s(v|x̂)·q(z|v)/q_t(z|x̂) with α_{t|s} = α_t/α_s and 1 - α_{t|s} spread over all V ids."""
        lam_t, lam_s = (lam.unsqueeze(-1) for lam in self._levels(z_BL, logits_BLV.dtype, log_snr_t, log_snr_s))
        alpha_t, alpha_s = torch.sigmoid(lam_t), torch.sigmoid(lam_s)
        q_s = alpha_s * self.predict(logits_BLV) + (1.0 - alpha_s) / self.vocab_size
        keep = alpha_t / alpha_s
        likelihood = ((1.0 - keep) / self.vocab_size).expand_as(q_s).clone()
        likelihood.scatter_add_(-1, z_BL.unsqueeze(-1), keep)
        joint = q_s * likelihood
        return joint / joint.sum(-1, keepdim=True)

    # -- condition: σ, read by a network with adaLN -------------------------------------------------------------------

    def condition(self, log_snr_BL: Tensor) -> Tensor:
        """σ = -log α (2602.15014's network), one a sequence unless tokens have λ of their own."""
        own = self.conditioning.own_noise_probability > 0 or self.conditioning.prompt_probability > 0
        return softplus(-(log_snr_BL if own else log_snr_BL[:, :1]))


def _with_curriculum(batch: Corrupted, rows: Tensor, drawn: CurriculumDraw) -> Corrupted:
    """``batch`` with its ``rows`` (B,) redrawn; every other token, and every clean one, is a mixture of one."""
    noised = batch.noised_BL
    device, k = noised.device, drawn.ids.shape[-1]
    here = rows[:, None] & noised

    def scattered(values: np.ndarray, base: Tensor) -> Tensor:
        found = torch.from_numpy(np.ascontiguousarray(values)).to(device, base.dtype)
        base = base.clone()
        base[rows] = found.expand(base[rows].shape)
        return base

    z = torch.where(here, scattered(drawn.z, batch.z_BL), batch.z_BL)
    only_z = torch.zeros(*z.shape, k, device=device)
    only_z[..., 0] = 1.0
    ids = torch.where(here[..., None], scattered(drawn.ids, z[..., None].expand(*z.shape, k)), z[..., None])
    return replace(
        batch,
        z_BL=z,
        log_snr_BL=torch.where(here, scattered(drawn.log_snr, batch.log_snr_BL), batch.log_snr_BL),
        importance_BL=torch.where(here, scattered(drawn.importance, torch.ones_like(batch.log_snr_BL)), 1.0),
        soft=SoftTokens(ids, torch.where(here[..., None], scattered(drawn.weights, only_z), only_z)),
    )
