"""Planted worlds for a search: loss surfaces with a plateau and noise, answered at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.ladder.search.sight import Rows
from difflaw.ladder.search.sizes import Space
from difflaw.ladder.search.steps import Ask

POINTS = 2
"""Evaluations from one budget to the next."""


@dataclass(frozen=True)
class Surface:
    """L = E + A/N^a + B/D^b behind a plateau: up to ``wake`` tokens the loss is that of token frequencies."""

    floor: float
    size: float
    size_power: float
    data: float
    data_power: float
    wake: float
    """Tokens until half of the plateau is left."""
    unigram: float
    noise: float
    """Standard deviation of ln loss between runs."""

    def loss(self, params: np.ndarray | float, tokens: np.ndarray | float) -> np.ndarray:
        """Loss without noise."""
        n, d = np.asarray(params, float), np.asarray(tokens, float)
        learnt = self.floor + self.size / n**self.size_power + self.data / d**self.data_power
        asleep = 1 / (1 + (d / self.wake) ** 4)
        return asleep * self.unigram + (1 - asleep) * np.minimum(learnt, self.unigram)

    def best(self, space: Space, flops: float) -> float:
        """Ln N* at a budget: the lowest loss on a fine grid through the space's sizes."""
        ln_n = np.linspace(math.log(space.params[0]) - 2, math.log(space.params[-1]) + 2, 4001)
        per_token = np.exp(
            np.interp(ln_n, np.log(space.params), np.log(space.flops_per_token))
            + np.where(ln_n > math.log(space.params[-1]), ln_n - math.log(space.params[-1]), 0)
        )
        return float(ln_n[np.argmin(self.loss(np.exp(ln_n), flops / per_token))])


class PlantedWorld:
    """A `World` whose runs end as soon as they are asked for."""

    def __init__(self, spaces: Mapping[str, Space], surfaces: Mapping[str, Surface], seed: int) -> None:
        self.spaces, self.surfaces, self.seed = spaces, surfaces, seed

    def done(self, family: str, ask: Ask) -> bool:
        """Always."""
        return True

    def failed(self, family: str, reached: Mapping[tuple[int, int], int]) -> frozenset[int]:
        """None."""
        return frozenset()

    def rows(self, family: str, reached: Mapping[tuple[int, int], int]) -> Rows:
        """Evaluations of every run, `POINTS` to a budget; a run's own noise and a little of each evaluation."""
        return [row for (size, s), k in sorted(reached.items()) for row in self._run(family, size, s, k)]

    def _run(self, family: str, size: int, seed: int, last: int) -> list[dict[str, Any]]:
        space, surface = self.spaces[family], self.surfaces[family]
        number = list(self.spaces).index(family)
        rng = np.random.default_rng([self.seed, number, size, seed])
        step = math.log(space.budgets[1] / space.budgets[0]) / POINTS
        flops = np.exp(math.log(space.budgets[0]) + step * np.arange(-2, last * POINTS + 1))
        n, per_token = float(space.params[size]), float(space.flops_per_token[size])
        own = surface.noise * (0.8 * rng.standard_normal() + 0.6 * rng.standard_normal(200)[: len(flops)])
        loss = surface.loss(n, flops / per_token) * np.exp(own)
        return [
            {
                "family": family,
                "run": f"{family}-{size}-{seed}",
                "params": n,
                "flops_per_token": per_token,
                "tokens": c / per_token,
                "flops": c,
                "loss": value,
                "loss_se": 0.003 * value,
                "seed": seed,
                "unigram_entropy": surface.unigram,
            }
            for c, value in zip(flops.tolist(), loss.tolist(), strict=True)
        ]
