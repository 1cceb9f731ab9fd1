"""From logits to a token: temperature, top-k, top-p, and a draw that is exact.

The draw inverts the cumulative distribution in float64 with one 53-bit uniform. In float32 neither way is exact: a
uniform of 24 bits never falls below 6e-8, so Gumbel noise -log(-log u) never exceeds 16.6 and unlikely tokens come too
rarely, which acts as a lower temperature; and a float32 cumulative sum loses what is below 6e-8 of the whole. With a
vocabulary of 131,072 such tokens together carry mass that counts. Shapes: M places, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from difflaw.errors import InputError


@dataclass(frozen=True)
class Shaping:
    """What is done to the network's prediction before anything is drawn; never to a reverse step's posterior.

    (Truncating the posterior instead, as one public code does, degenerates.)
    """

    temperature: float = 1.0
    """Divides the logits; 0 takes the most likely token, the first of equals."""
    top_k: int | None = None
    """Only the k most likely tokens (and those equal to the k-th)."""
    top_p: float | None = None
    """Only the fewest most likely tokens that together reach this probability."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < float("inf"):
            raise InputError(f"temperature: must be finite and not negative, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k: must be at least 1, got {self.top_k}")
        if self.top_p is not None and not 0.0 < self.top_p <= 1.0:
            raise InputError(f"top_p: must lie in (0, 1], got {self.top_p}")

    def __call__(self, logits_MV: Tensor) -> Tensor:
        """Logits (M, V) whose softmax is the shaped prediction: first temperature, then top-k, then top-p."""
        if self.temperature == 0.0:
            best = logits_MV.argmax(-1, keepdim=True)
            return torch.full_like(logits_MV, -torch.inf).scatter_(-1, best, 0.0)
        out = logits_MV if self.temperature == 1.0 else logits_MV / self.temperature
        if self.top_k is not None and self.top_k < out.shape[-1]:
            smallest = out.topk(self.top_k, -1).values[..., -1:]
            out = out.masked_fill(out < smallest, -torch.inf)
        if self.top_p is not None and self.top_p < 1.0:
            ordered, order = torch.sort(out, dim=-1, descending=True, stable=True)
            before = ordered.softmax(-1).cumsum(-1).roll(1, -1)
            before[..., 0] = 0.0
            beyond = before > self.top_p
            out = out.masked_fill(beyond.scatter(-1, order, beyond), -torch.inf)
        return out


def choose(p_MV: Tensor, u_M: Tensor) -> Tensor:
    """One id for each row of weights (M, V) ≥ 0, not all zero, need not sum to 1; u (M,) in [0, 1) float64.

    The first id whose cumulative weight exceeds u times the total: an id of weight zero is never chosen.
    """
    cumulative = p_MV.double().cumsum(-1)
    total = cumulative[:, -1:].contiguous()
    token = torch.searchsorted(cumulative, u_M[:, None] * total, right=True)
    last = torch.searchsorted(cumulative, total)  # the last id with weight, should u times the total round up to it
    return torch.minimum(token, last).squeeze(-1)
