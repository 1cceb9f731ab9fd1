"""Ancestral sampling: every token from p(z_s|z_t) with the network's prediction in place of x, in T steps.

Exact as T → ∞ (oracle test); at finite T the places that change in one step are drawn independently though they depend
on one another. For masked noise only a mask can change, whether it does is known before the network is asked, and a
step in which none does costs no pass. Source: 2512.10858; greedy tail: 2506.10892.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from difflaw.noise.clock import sigmoid
from difflaw.sample.categorical import choose
from difflaw.sample.draws import Use
from difflaw.sample.grid import Schedule, to_clean
from difflaw.sample.window import Chosen, Places, Window, probability


@dataclass(frozen=True)
class Ancestral:
    """T steps along a grid of λ, the last to λ = ∞."""

    steps: int = 128
    schedule: Schedule = "cosine"
    greedy_tail: bool = False
    """Take the most likely token in the last step: better generative perplexity, less entropy."""

    def run(self, window: Window) -> None:
        """Write the window."""
        step = masked_step if window.only_masks else tokenwise_step
        pairs = to_clean(self.steps, self.schedule, window.family.span)
        for number, (t, s) in enumerate(pairs):
            if self.greedy_tail and number == len(pairs) - 1:
                _most_likely(window, t)
            else:
                step(window, t, s)
            window.tick(t)


@dataclass(frozen=True)
class GreedyTail(Ancestral):
    """Ancestral sampling whose last step takes the most likely token (Duo's)."""

    greedy_tail: bool = True


def masked_step(window: Window, log_snr_t: float, log_snr_s: float) -> None:
    """Each mask becomes a token with probability (α_s - α_t)/(1 - α_t)."""
    share = 1.0 - float(sigmoid(-log_snr_s) / sigmoid(-log_snr_t))
    chosen = window.masked & (window.uniform(Use.WHETHER) < share)
    if bool(chosen.any()):
        window.write(chosen, window.draw(chosen, log_snr_t))


def tokenwise_step(window: Window, log_snr_t: float, log_snr_s: float) -> None:
    """Each active place from `Family.reverse`, in float64."""
    t, s = (torch.tensor(lam, dtype=torch.float64, device=window.z.device) for lam in (log_snr_t, log_snr_s))

    def pick(logits: Tensor, places: Places) -> tuple[Tensor, Tensor]:
        shaped = window.shaping(logits).double()
        p = window.family.reverse(shaped[None], places.z[None], t, s)[0]
        token = choose(p, places.u)
        return token, probability(logits, token)

    window.write(window.active, Chosen(*window.over(window.active, log_snr_t, pick)))


def _most_likely(window: Window, log_snr: float) -> None:
    where = window.masked if window.only_masks else window.active

    def pick(logits: Tensor, places: Places) -> tuple[Tensor, Tensor]:
        token = logits.argmax(-1)
        return token, probability(logits, token)

    if bool(where.any()):
        window.write(where, Chosen(*window.over(where, log_snr, pick)))
