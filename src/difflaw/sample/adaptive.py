"""Confidence-based sampling: in each step the k places that gain most are written, the others keep their token.

score = (max_v p(v) - p(z))·p_noise(z) (2512.10858; its code, sampling.py): under masked noise the surest masks first;
under uniform noise any token may be revised. With masks, one a step and temperature 1 it is exact: an order that
depends only on what was written factorises the joint like any other. With more a step the surest are drawn
independently; with random tokens it is not exact but goes to the modes. p is what the network predicts from all *other*
places (`Family.predict`), as in the paper: whether a token is noise is what is asked, so its own word does not count;
``posterior`` lets it count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from difflaw.errors import InputError
from difflaw.sample.categorical import choose
from difflaw.sample.grid import Schedule, grid
from difflaw.sample.window import Chosen, Places, Window, best, probability

Criterion = Literal["confidence", "margin", "entropy"]
Reading = Literal["leave-one-out", "posterior"]


@dataclass(frozen=True)
class Adaptive:
    """The k best places a step, by confidence gain, margin between the two best tokens, or low entropy."""

    steps: int = 128
    schedule: Schedule = "cosine"
    """Only weighs masks against random tokens, through p_noise; irrelevant to masked and to uniform noise."""
    tokens_per_step: int | None = None
    """k; None is what it takes to be done in ``steps``."""
    criterion: Criterion = "confidence"
    confidence_from: Reading = "leave-one-out"

    def __post_init__(self) -> None:
        if self.criterion not in get_args(Criterion):
            raise InputError(f"criterion: {self.criterion!r} is unknown, use {', '.join(get_args(Criterion))}")
        if self.confidence_from not in get_args(Reading):
            raise InputError(f"confidence_from: {self.confidence_from!r}: use {' or '.join(get_args(Reading))}")
        if self.tokens_per_step is not None and self.tokens_per_step < 1:
            raise InputError(f"tokens_per_step: must be at least 1, got {self.tokens_per_step}")

    def run(self, window: Window) -> None:
        """Write the window. Ends early when no place gains: no mask is left, or every token is the best one."""
        ends = grid(self.steps, self.schedule, window.family.span)
        per_step = -(-window.active.sum(1) // self.steps)
        for number in range(self.steps):
            t = float(ends[number])
            where = window.masked if window.only_masks else window.active
            if not bool(where.any()):
                break
            if self.tokens_per_step is not None:
                count = torch.full_like(per_step, self.tokens_per_step)
            else:
                count = -(-where.sum(1) // (self.steps - number)) if window.only_masks else per_step
            if not self._step(window, where, count, t) and not window.predictor.noise_conditioned:
                break
            window.tick(t)
        window.fill_masks(float(ends[-1]))

    def _step(self, window: Window, where: Tensor, count: Tensor, log_snr: float) -> bool:
        """Write the best places; False if there is none."""

        def look(logits: Tensor, places: Places) -> tuple[Tensor, ...]:
            p = self._prediction(window, logits, places.z, log_snr)
            gain = criterion_of(p, places.z, self.criterion)
            token = choose(window.shaping(logits).softmax(-1), places.u)
            return gain, token, probability(logits, token)

        gain, token, confidence = window.over(where, log_snr, look)
        weight = noise_weight(window, where, log_snr)
        score = torch.full(weight.shape, -1.0, dtype=torch.float64, device=weight.device)
        score = score.masked_scatter(where, gain.double()) * torch.where(where, weight, 1.0)
        chosen = best(score, count)
        if not bool(chosen.any()):
            return False
        among = chosen[where]
        window.write(chosen, Chosen(token[among], confidence[among]))
        return True

    def _prediction(self, window: Window, logits: Tensor, z: Tensor, log_snr: float) -> Tensor:
        family = window.family
        if self.confidence_from == "posterior":
            return family.posterior(logits[None], z[None], torch.tensor(log_snr, device=z.device))[0]
        return logits.softmax(-1)


def criterion_of(p_MV: Tensor, z_M: Tensor, criterion: Criterion) -> Tensor:
    """How sure a change of z is, (M,): not above 0 where the best token is the one that stands there."""
    top = p_MV.topk(2, -1).values
    here = p_MV.gather(1, z_M[:, None]).squeeze(1)
    gain = top[:, 0] - here
    if criterion == "confidence":
        return gain
    if criterion == "margin":
        sure = top[:, 0] - top[:, 1]
    else:
        sure = 1.0 + (p_MV * p_MV.clamp(min=torch.finfo(p_MV.dtype).tiny).log()).sum(-1) / torch.tensor(
            float(p_MV.shape[-1])
        ).log().to(p_MV)
    return torch.where(gain > 0, sure.clamp(min=torch.finfo(p_MV.dtype).tiny), -torch.ones_like(gain))


def noise_weight(window: Window, where_BN: Tensor, log_snr: float) -> Tensor:
    """π_λ(z) of each place over its sum in the row, (B, N) float64; zero everywhere where nothing can be noise."""
    family = window.family
    lam = torch.full(window.z.shape, log_snr, dtype=torch.float64, device=window.z.device)
    pi = family.noise_at(window.z, lam) * where_BN
    total = pi.sum(1, keepdim=True)
    return torch.where(total > 0, pi / total.clamp(min=torch.finfo(pi.dtype).tiny), torch.zeros_like(pi))
