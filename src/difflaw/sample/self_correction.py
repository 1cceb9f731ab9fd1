"""GIDD's self-correction: a finished text is revised, the surest change first (GIDD, 2503.04482).

Each step draws a candidate for every place at a low temperature, and the k that differ from their token and are most
likely replace it. It ends after ``corrections`` steps, when nothing differs, or when the share of places that hold
their most likely token has not grown for ``patience`` steps. Not exact: it goes to the modes. Asks for a network that
has seen random tokens (hybrid or uniform noise); a purely masked one was never asked about a token that stands there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from difflaw.errors import InputError
from difflaw.sample.ancestral import Ancestral
from difflaw.sample.categorical import Shaping, choose
from difflaw.sample.grid import Schedule
from difflaw.sample.window import Chosen, Places, Window, best, probability


@dataclass(frozen=True)
class SelfCorrection:
    """Ancestral sampling, then corrections."""

    steps: int = 128
    schedule: Schedule = "cosine"
    corrections: int = 128
    candidate_temperature: float = 0.1
    tokens_per_step: int = 1
    patience: int = 32
    log_snr: float = 4.6
    """Where the finished text is taken to be, for a network conditioned on λ: 1 % noise."""

    def __post_init__(self) -> None:
        for name in ("corrections", "tokens_per_step", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: must be at least 1, got {getattr(self, name)}")

    def run(self, window: Window) -> None:
        """Write the window, then revise it."""
        Ancestral(self.steps, self.schedule).run(window)
        self.correct(window)

    def correct(self, window: Window) -> None:
        """Revise what stands in the active places. A row that is done stays as it is."""
        candidates = Shaping(self.candidate_temperature)
        going = window.active.any(1)
        best_share = torch.full(going.shape, -1.0, dtype=torch.float64, device=going.device)
        waited = torch.zeros_like(going, dtype=torch.long)
        for _ in range(self.corrections):
            if not bool(going.any()):
                break

            def look(logits: Tensor, places: Places) -> tuple[Tensor, ...]:
                token = choose(candidates(logits).softmax(-1), places.u)
                shaped = candidates(logits)
                return token, probability(shaped, token), probability(logits, token), logits.argmax(-1) == places.z

            token, sure, confidence, agrees = window.over(window.active, self.log_snr, look)
            zero = torch.zeros(window.z.shape, dtype=torch.float64, device=window.z.device)
            share = zero.masked_scatter(window.active, agrees.double()).sum(1) / window.active.sum(1).clamp(min=1)
            waited = torch.where(share > best_share, 0, waited + 1)
            best_share = torch.maximum(best_share, share)
            going = going & (waited < self.patience)
            score = zero.masked_scatter(
                window.active, torch.where(token != window.z[window.active], sure.double(), 0.0)
            )
            chosen = best(score, torch.where(going, self.tokens_per_step, 0))
            going = going & chosen.any(1)
            among = chosen[window.active]
            window.write(chosen, Chosen(token[among], confidence[among]))
            window.tick(self.log_snr)
