"""Entropy-bounded unmasking: as many masks at once as are nearly certain (Ben-Hamu et al., 2505.24857).

The masks are taken in order of rising entropy for as long as Σ H - max H stays below a bound: what is drawn
independently in one step then has at most that much mutual information in common. Exact at bound 0 (one at a time,
besides the certain ones); above it the bound limits the error of a step, not of a text. Steps are as many as it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from difflaw.errors import InputError
from difflaw.sample.categorical import choose
from difflaw.sample.window import Chosen, Places, Window, probability


@dataclass(frozen=True)
class EntropyBounded:
    """Masked noise only."""

    bound: float = 0.1
    """Nats a step; 0 writes one mask a step, besides those that are certain."""

    def __post_init__(self) -> None:
        if not self.bound >= 0.0:
            raise InputError(f"bound: must not be negative, got {self.bound}")

    def run(self, window: Window) -> None:
        """Write the window."""
        start = window.family.span.low
        while bool((where := window.masked).any()):

            def look(logits: Tensor, places: Places) -> tuple[Tensor, ...]:
                log_p = logits.log_softmax(-1)
                entropy = -(log_p.exp() * log_p.clamp(min=-1e4)).sum(-1)
                token = choose(window.shaping(logits).softmax(-1), places.u)
                return entropy.double(), token, probability(logits, token)

            entropy, token, confidence = window.over(where, start, look)
            every = torch.full(where.shape, torch.inf, dtype=torch.float64, device=where.device)
            every = every.masked_scatter(where, entropy)
            ordered, order = torch.sort(every, dim=1, stable=True)
            # rising, so the largest entropy of a prefix is its last
            fits = (ordered.cumsum(1) - ordered <= self.bound) & ordered.isfinite()
            chosen = torch.zeros_like(where).scatter(1, order, fits)
            among = chosen[where]
            window.write(chosen, Chosen(token[among], confidence[among]))
            window.tick(start)
