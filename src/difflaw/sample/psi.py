"""Ψ-samplers: a mixture of the reverse step and a fresh noising of the guess (Duo, Chapter II).

z_s ~ κ·p(z_s|z_t) + (1-κ)·q(z_s|x̂₀), x̂₀ = p(x|z_t): κ = 1 is ancestral sampling, κ = 0 guesses and noises anew in
every step. Mistakes can be undone, so quality goes on rising with T where ancestral sampling stops. Exact as T → ∞ at
any fixed κ, since what is noised anew falls with the noise; not with a fixed η, where until the very end a share η of
the places is redrawn in every step, independently of one another, however many steps there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from difflaw.errors import InputError
from difflaw.families import Diffusion
from difflaw.noise.clock import sigmoid
from difflaw.sample.categorical import choose
from difflaw.sample.grid import Schedule, to_clean
from difflaw.sample.window import Chosen, Places, Window, probability


@dataclass(frozen=True)
class Psi:
    """Predictor-corrector for every token-wise family; the papers use it for Duo."""

    steps: int = 128
    schedule: Schedule = "linear"
    kappa: float | None = None
    """A fixed κ; None is 1 - σ/(1-α_s), σ = min(η, (1-α_s)/α_t): ReMDM's capped remasking, for any noise."""
    eta: float = 0.01

    def __post_init__(self) -> None:
        for name, value in (("kappa", self.kappa), ("eta", self.eta)):
            if value is not None and not 0.0 <= value <= 1.0:
                raise InputError(f"{name}: must lie in [0, 1], got {value}")

    def run(self, window: Window) -> None:
        """Write the window."""
        for t, s in to_clean(self.steps, self.schedule, window.family.span):
            kappa = self.kappa_at(t, s)

            def pick(
                logits: Tensor, places: Places, t: float = t, s: float = s, kappa: float = kappa
            ) -> tuple[Tensor, ...]:
                token = choose(
                    psi_step(window.family, window.shaping(logits).double(), places.z, t, s, kappa), places.u
                )
                return token, probability(logits, token)

            window.write(window.active, Chosen(*window.over(window.active, t, pick)))
            window.tick(t)

    def kappa_at(self, log_snr_t: float, log_snr_s: float) -> float:
        """κ of a step; 1 in the last, which must leave no noise."""
        beta_s = float(sigmoid(-log_snr_s))
        if beta_s == 0.0:
            return 1.0
        if self.kappa is not None:
            return self.kappa
        sigma = min(self.eta, beta_s / float(sigmoid(log_snr_t)))
        return min(max(1.0 - sigma / beta_s, 0.0), 1.0)


def psi_step(
    family: Diffusion, logits_MV: Tensor, z_M: Tensor, log_snr_t: float, log_snr_s: float, kappa: float
) -> Tensor:
    """The mixture, (M, V)."""
    t, s, clean = (torch.tensor(lam, dtype=logits_MV.dtype) for lam in (log_snr_t, log_snr_s, float("inf")))
    reverse = family.reverse(logits_MV[None], z_M[None], t, s)[0]
    if kappa == 1.0:
        return reverse
    guess = family.reverse(logits_MV[None], z_M[None], t, clean)[0]
    ids = torch.arange(logits_MV.shape[1], device=z_M.device)
    noise = family.noise_at(ids, s.expand(ids.shape))
    return kappa * reverse + (1.0 - kappa) * (torch.sigmoid(s) * guess + noise)
