"""Eso-LM's sampler: a share α₀ of the blanks any-order in T parallel steps, then the rest from left to right.

Which blanks are diffused, in which order and in which step is drawn before anything is read: with α falling linearly a
diffused token's moment is uniform, so T steps get binomial shares of the tokens, as in the public code (2506.01928;
algo.py). Attention is causal over the order of writing, so what was written before is read from the cache, exactly, in
both phases (variant B). A pass reads the tokens of the last step, now clean, and the masks of this one. Exact as T → ∞;
at finite T the tokens of one step are drawn independently.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from difflaw.errors import InputError
from difflaw.families import EsoLm
from difflaw.families.attention_masks import causal
from difflaw.sample.canvas import Canvas, gathered
from difflaw.sample.categorical import Shaping
from difflaw.sample.draws import Use
from difflaw.sample.frame import Recorder
from difflaw.sample.reader import Reading
from difflaw.sample.window import Places, drawn, over


@dataclass(frozen=True)
class Plan:
    """When each blank is written, (B, L): the number of its pass (-1: none), and its place within the pass.

    Each row counts its own passes: a step that is empty in one row costs it nothing, whatever the rows beside it do.
    """

    group: Tensor
    order: Tensor
    left_to_right: Tensor
    """True for the blanks of the sequential phase."""


@dataclass(frozen=True)
class TwoPhase:
    """Eso-LM only."""

    steps: int = 128
    """T, of the diffusion phase of each block; empty steps cost no pass."""
    alpha_0: float | None = None
    """Share diffused; None is what the network was trained with. The two may differ."""

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or self.steps < 1:
            raise InputError(f"steps: must be a whole number of at least 1, got {self.steps}")
        if self.alpha_0 is not None and not 0.0 <= self.alpha_0 <= 1.0:
            raise InputError(f"alpha_0: must lie in [0, 1], got {self.alpha_0}")

    def write(
        self,
        canvas: Canvas,
        reading: Reading,
        recorder: Recorder,
        *,
        shaping: Shaping,
        block_length: int | None,
        eos_id: int,
    ) -> None:
        """Fill the blanks, in place. ``block_length``: the phases alternate, block after block."""
        family = reading.family
        if not isinstance(family, EsoLm):
            raise TypeError("only for Eso-LM")
        plan = self.plan(canvas, family.alpha_0 if self.alpha_0 is None else self.alpha_0, block_length)
        canvas.tokens[canvas.blank] = family.mask_id
        history = _History(canvas, reading, family.variant == "A")
        for group in range(int(plan.group.max()) + 1):
            now = (plan.group == group) & (canvas.positions < history.end_B[:, None])
            if not bool(now.any()):
                continue
            places, real = in_order(now, plan.order)
            states = history.read(places, real, (plan.left_to_right & now).any(1))
            rows, columns = real.nonzero(as_tuple=True)
            at = places[rows, columns]
            u = canvas.draws.uniform(places, 0, Use.TOKEN)[rows, columns]
            no_eos = canvas.no_eos[rows, at]
            token, confidence = over(
                reading.logits, family, states[rows, columns], Places(at, u), no_eos, eos_id, drawn(shaping)
            )
            canvas.tokens[rows, at] = token
            canvas.clean[rows, at] = True
            history.wrote(places, real)
            ends = token == eos_id  # what stands behind it is not written any more; what is missing before it, is
            history.end_B.scatter_reduce_(0, rows[ends], at[ends], "amin")
            recorder.wrote(rows, at, confidence)
            recorder.show(canvas.tokens, canvas.valid & ~canvas.clean, float("nan"), reading.passes)

    def plan(self, canvas: Canvas, alpha_0: float, block_length: int | None) -> Plan:
        """The order of writing: for each block its diffused blanks by their moment, then the others by position."""
        blank, length = canvas.blank, canvas.tokens.shape[1]
        number = blank.long().cumsum(1) - 1
        block = number // block_length if block_length else torch.zeros_like(number)
        moment = canvas.draws.uniform(canvas.positions, 0, Use.ORDER)
        diffused = canvas.draws.uniform(canvas.positions, 0, Use.WHETHER) < alpha_0
        step = (moment * self.steps).long().clamp(max=self.steps - 1)
        index = torch.where(diffused, step, self.steps + canvas.positions)
        group = torch.where(blank, block * (self.steps + length) + index, -1)
        group = torch.where(blank, dense_rank(group) - (~blank).any(1).long()[:, None], -1)
        order = torch.where(diffused, moment, canvas.positions.double())
        return Plan(group, order, blank & ~diffused)


def in_order(where_BL: Tensor, order_BL: Tensor) -> tuple[Tensor, Tensor]:
    """As `canvas.gathered`, by rising ``order`` instead of position."""
    by = torch.argsort(torch.where(where_BL, order_BL, torch.inf), dim=1, stable=True)
    count = where_BL.sum(1)
    real = torch.arange(int(count.max()), device=by.device) < count[:, None]
    places = by[:, : real.shape[1]]
    return torch.where(real, places, torch.zeros_like(places)), real


def dense_rank(values_BL: Tensor) -> Tensor:
    """How many distinct smaller values there are in the row."""
    ordered, order = torch.sort(values_BL, dim=1)
    rises = torch.zeros_like(ordered)
    rises[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.empty_like(ordered).scatter_(1, order, rises.cumsum(1))


class _History:
    """What was written, in the order of writing, and whether the network has read it."""

    def __init__(self, canvas: Canvas, reading: Reading, clean_see_clean: bool) -> None:
        self.canvas, self.reading = canvas, reading
        self.bidirectional = clean_see_clean
        self.end_B = torch.full_like(canvas.tokens[:, 0], canvas.tokens.shape[1])  # where each text ends
        self.places, self.real = gathered(canvas.clean)  # given tokens first, from left to right
        caches = reading.cached and not clean_see_clean
        self.cache = reading.model.new_cache(canvas.rows, canvas.tokens.shape[1]) if caches else None
        self.unread = self.places.shape[1]  # how many of the last ones the cache has not seen
        self._prefix = self.real.sum(1)

    def read(self, masks_BQ: Tensor, real_BQ: Tensor, sequential_B: Tensor) -> Tensor:
        """States of masks at ``masks``, (B, Q, D), after everything written.

        In a row's sequential phase what was clean when it began goes on seeing itself, what came since is causal.
        """
        self._prefix = torch.where(sequential_B, self._prefix, self.real.sum(1))
        first = self.places.shape[1] - self.unread if self.cache is not None else 0
        before, known = self.places[:, first:], self.real[:, first:]
        n = before.shape[1]
        at, real = torch.cat([before, masks_BQ], 1), torch.cat([known, real_BQ], 1)
        tokens = self.canvas.tokens.gather(1, at)
        tokens[:, n:] = self.reading.family.mask_id
        device = tokens.device
        attention = causal(at.shape[1]).to(device)
        if self.bidirectional:
            rank = real.long().cumsum(1) - 1
            clean = real & (torch.arange(at.shape[1], device=device) < n) & (rank < self._prefix[:, None])
            attention = attention | (clean[:, :, None] & clean[:, None, :])
        if not bool(real.all()):
            attention = attention & real[:, None, :] | torch.eye(at.shape[1], dtype=torch.bool, device=device)
        states = self.reading.hidden(tokens, at, attention, self.cache)
        if self.cache is not None:
            self.cache.keep(known)
            self.unread = 0
        return states[:, n:]

    def wrote(self, places: Tensor, real: Tensor) -> None:
        """These places hold tokens now."""
        self.places, self.real = torch.cat([self.places, places], 1), torch.cat([self.real, real], 1)
        self.unread += places.shape[1]
