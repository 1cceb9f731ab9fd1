"""Planted ladders: true surfaces, the designs they are run on, and what is true of them at any budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]


def chinchilla(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Besiroglu et al. 2024, in params and tokens."""
    return 1.8172 + 482.01 * n**-0.3478 + 2085.43 * d**-0.3658


def diffusion(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Masked diffusion of 2512.10858, its M read as 6·N."""
    return 2.17 + 222.0 * (6 * n) ** -0.292 + 1920.0 * d**-0.367


def farseer(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The nine-parameter form of 2506.10972, fitted by least squares to its 404 public runs (rmse of ln L .0018)."""
    ratio = n / 6.8217e8
    floor = np.exp(463.1917 * ratio**-2.259179e-4 - 463.9632)
    data = 3.210417 * ratio**-0.2395459 + 1.686274 - np.exp(1.810960 * ratio**-0.0761761 - 2.981677) * np.log(d)
    return floor + np.exp(data)


@dataclass(frozen=True)
class Truth:
    """A surface and the budgets its ladders are run at."""

    loss: Loss
    budgets: np.ndarray

    def best(self, flops: float) -> tuple[float, float]:
        """(ln N*, ln L*) at a budget, C = 6·N·D, by a grid and a parabola."""
        sizes = np.linspace(math.log(1e5), math.log(1e13), 6001)
        values = np.log(self.loss(np.exp(sizes), flops / 6 / np.exp(sizes)))
        i = int(values.argmin())
        before, here, after = values[i - 1 : i + 2]
        off = 0.5 * (before - after) / (before - 2 * here + after)
        return float(sizes[i] + off * (sizes[1] - sizes[0])), float(here - 0.25 * (before - after) * off)

    @property
    def exponent(self) -> float:
        """Slope of ln N* in ln C over the budgets."""
        ln_c = np.linspace(*np.log(self.budgets[[0, -1]]), 9)
        return float(np.polyfit(ln_c, [self.best(math.exp(c))[0] for c in ln_c], 1)[0])


TRUTHS = {
    "chinchilla": Truth(chinchilla, np.geomspace(1e18, 1e20, 5)),
    "diffusion": Truth(diffusion, np.geomspace(1e18, 1e20, 5)),
    "farseer": Truth(farseer, np.geomspace(1e19, 1e21, 5)),
}
DESIGNS = ("5x7", "5x5", "fixed", "edge", "outliers")


def cells(truth: Truth, design: str) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) of a ladder: sizes in steps of 1.6 about the best at each budget, or the same five sizes at every budget.

    "edge": five sizes that begin above the best of the smallest budget, so that half of the minima lie at an edge.
    """
    budgets = truth.budgets
    best = np.array([math.exp(truth.best(float(c))[0]) for c in budgets])
    if design in ("5x7", "5x5", "outliers"):
        count = 5 if design == "5x5" else 7
        steps = 1.6 ** (np.arange(count) - (count - 1) / 2)
        n = (best[:, None] * steps).ravel()
        return n, np.repeat(budgets, count) / 6 / n
    low, high = (best[0] / 1.5, best[-1] * 1.5) if design == "fixed" else (best[0] * 1.2, best[-1] * 4)
    n = np.repeat(np.geomspace(low, high, 5), len(budgets))
    return n, np.tile(budgets, 5) / 6 / n


def measured(truth: Truth, design: str, sd: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, D, loss) of one ladder with run noise ``sd`` of ln loss; a tenth of the "outliers" is 2 to 15 % too high."""
    n, d = cells(truth, design)
    rng = np.random.default_rng([seed, round(sd * 1e5)])
    loss = truth.loss(n, d) * np.exp(sd * rng.standard_normal(len(n)))
    if design == "outliers":
        bad = rng.choice(len(n), max(1, round(0.1 * len(n))), replace=False)
        loss[bad] *= np.exp(rng.uniform(0.02, 0.15, len(bad)))
    return n, d, loss
