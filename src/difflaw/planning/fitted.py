"""A law fitted to somebody's own runs as the planner needs it: every number read off the draws that `fit` answers from.

Sizes are FLOPs per token in the table's own count, whatever it is: the table's sizes relate it to parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from difflaw.law.answer import estimate, loss_estimate
from difflaw.law.posterior.posterior import Best, Posterior
from difflaw.law.results import Interval
from difflaw.planning.predict import Forecast

NODES = 0.25
"""Spacing in ln C of the budgets between which the loss of the best size is interpolated, for maps and searches."""


@dataclass(frozen=True)
class FittedForecast(Forecast):
    """`Forecast` from draws of a law; ``size_law`` and the fields of printed laws are there for their conventions."""

    posterior: Posterior | None = None
    relation: bool = False
    """Whether FLOPs per token of a shape come from the table's sizes, since nobody said how FLOPs were counted."""

    @property
    def draws(self) -> Posterior:
        """The draws, which every fitted forecast has."""
        assert self.posterior is not None
        return self.posterior

    @cached_property
    def _best(self) -> Any:
        return lru_cache(maxsize=4096)(self.draws.best)

    def best(self, flops: float) -> Best:
        """The best size by every draw."""
        return self._best(flops)

    @property
    def has_loss(self) -> bool:
        """Draws always forecast the loss."""
        return True

    @property
    def domain(self) -> tuple[float, float]:
        """Six decades below and eight above the budgets that were run: further out draws say nothing."""
        return self.draws.budgets[0] / 1e6, self.draws.budgets[1] * 1e8

    @property
    def floor(self) -> float:
        """The median floor of the draws."""
        return math.exp(float(np.median(self.draws.theta[:, 2])))

    def best_size(self, flops: float) -> float:
        """M*(C), the median of the draws."""
        return math.exp(float(np.median(self.best(flops).ln_flops_per_token)))

    def best_loss(self, flops: float) -> float:
        """L*(C), the median of the draws."""
        return math.exp(float(np.median(self.best(flops).ln_loss)))

    def loss(self, m: float, tokens: float) -> float:
        """L(M, D), the median of the draws."""
        return math.exp(float(np.median(self._ln_loss(m, tokens, None))))

    def loss_of(self, m: float, tokens: float, unique: float | None, worth: float) -> float:
        """L with repeated data: by the table's own repeats where it has them, else ``worth`` fresh tokens."""
        if unique is not None and self.draws.repeated:
            return math.exp(float(np.median(self._ln_loss(m, tokens, unique))))
        return self.loss(m, worth)

    def regret(self, m: float, flops: float) -> float:
        """Ln of the loss at M over that of the best size for the same FLOPs."""
        return max(float(np.median(self._ln_loss(m, flops / m, None))) - self._level(math.log(flops)), 0.0)

    def size_interval(self, flops: float, level: float = 0.95) -> Interval | None:
        """Interval of M*(C)."""
        found = estimate(self.best(flops).ln_flops_per_token, level)
        return Interval(math.exp(found.low), math.exp(found.high), level, f"{100 * level:g} % for the law's M*")

    def params_interval(self, flops: float, level: float = 0.95) -> Interval | None:
        """Interval of N*(C)."""
        found = estimate(self.best(flops).ln_params, level)
        return Interval(math.exp(found.low), math.exp(found.high), level, f"{100 * level:g} % for the law's N*")

    def loss_interval(self, flops: float, level: float = 0.95) -> Interval | None:
        """Interval of L*(C) for the law."""
        found = estimate(self.best(flops).ln_loss, level)
        return Interval(math.exp(found.low), math.exp(found.high), level, f"{100 * level:g} % for the law's loss")

    def intervals_at(
        self, m: float, tokens: float, unique: float | None, worth: float, level: float
    ) -> tuple[Interval | None, Interval | None]:
        """(for the law, for one new run) of the loss at M and D."""
        own = unique if self.draws.repeated else None
        ln_loss = self._ln_loss(m, tokens if own is not None else worth, own)
        found = loss_estimate(ln_loss, self.draws.noise(), level)
        noise = float(np.median(self.draws.noise()))
        law = Interval(*found.law, level, f"{100 * level:g} % for the law's loss at this size and these tokens")
        kind = f"{100 * level:g} % for one new run: the law, and run noise of {100 * noise:.2g} % as fitted"
        return law, Interval(*found.run, level, kind)

    def flops_per_token(self, params: float) -> float:
        """M of N, as the table's own sizes relate the two."""
        return math.exp(float(self.draws.flops_per_token(np.array([math.log(params)]))[0]))

    def _ln_loss(self, m: float, tokens: float, unique: float | None) -> np.ndarray:
        params = math.exp(float(self.draws.params_of(np.array([math.log(m)]))[0]))
        return self.draws.ln_loss(params, tokens, unique)[:, 0]

    @cached_property
    def _known(self) -> dict[int, float]:
        return {}

    def _level(self, ln_flops: float) -> float:
        """Median ln L* between nodes, each computed once."""
        below = math.floor(ln_flops / NODES)
        for node in (below, below + 1):
            if node not in self._known:
                self._known[node] = math.log(self.best_loss(math.exp(node * NODES)))
        share = ln_flops / NODES - below
        return (1 - share) * self._known[below] + share * self._known[below + 1]
