"""`Posterior`: draws of one family's law, and everything that is asked of them: losses, best sizes, exponents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from difflaw.law.interpolation import prolonged
from difflaw.law.posterior.model import ln_loss, where

BELOW, ABOVE, STEPS, WIDEST = 3.4, 5.3, 120, 0.2
"""The best size is sought between these many logarithms below the smallest and above the largest size run, at
least so many steps and none wider than the last in ln N."""


@dataclass(frozen=True)
class Suspect:
    """A run that lies off its family's law (misread, diverged, badly tuned), or that the law hangs on."""

    run: str
    params: float
    tokens: float
    loss: float
    off: float
    """Loss over the law's, less one."""
    sound: float
    """Probability that its error is the usual one."""
    shift: float = 0.0
    """Change of ln N* at ten times the largest budget were it left out."""


@dataclass(frozen=True)
class Best:
    """The best size of a budget by every draw: ln N, ln of FLOPs per token, ln loss, shape (R,)."""

    ln_params: np.ndarray
    ln_flops_per_token: np.ndarray
    ln_loss: np.ndarray
    flops: float

    @property
    def ln_tokens(self) -> np.ndarray:
        """Ln D = ln C - ln M."""
        return math.log(self.flops) - self.ln_flops_per_token


@dataclass(frozen=True)
class Posterior:
    """Draws of a law: natural parameters (R, 13) and ln noise (R,), the same for whoever asks.

    Sizes N are in the table's count of parameters, C in its count of FLOPs; ``sizes`` relates the two.
    """

    theta: np.ndarray
    ln_noise: np.ndarray
    """ln of the standard deviation of ln loss of one run near the lowest losses."""
    growth: float
    """By which noise grows away from the lowest loss: e^(growth·distance in ln loss)."""
    centre: tuple[float, float, float]
    forms: Mapping[str, float]
    """Probability of each form."""
    effective_draws: float
    rows: int
    runs: int
    independent: float
    """Rows, those that share an error counted for what they add."""
    sizes: np.ndarray
    """(params, FLOPs per token) of the sizes that were run, shape (k, 2), increasing."""
    budgets: tuple[float, float]
    """Smallest and largest FLOPs fitted."""
    params_range: tuple[float, float]
    tokens_range: tuple[float, float]
    loss_range: tuple[float, float]
    repeated: bool
    suspects: tuple[Suspect, ...] = ()
    with_minimum: float = 1.0
    """Share of draws whose loss has a lowest point in size at the largest budget and at ten times it."""
    weight_without: np.ndarray | None = None
    """Weight of each draw had the unsound suspects not been run, shape (R,)."""

    def with_draws(self, index: np.ndarray) -> Posterior:
        """The same law with some of its draws."""
        return replace(self, theta=self.theta[index], ln_noise=self.ln_noise[index], weight_without=None)

    def without_suspects(self) -> Posterior:
        """The law had its unsound runs not been made: draws taken again by their weights then."""
        weight = self.weight_without
        if weight is None:
            return self
        cumulative = np.cumsum(weight)
        pick = np.searchsorted(cumulative, (np.arange(len(weight)) + 0.5) / len(weight) * cumulative[-1])
        return self.with_draws(np.minimum(pick, len(weight) - 1))

    def ln_loss(
        self, params: np.ndarray | float, tokens: np.ndarray | float, unique: np.ndarray | float | None = None
    ) -> np.ndarray:
        """Ln loss of every draw, shape (R, n), at sizes and tokens of shape (n,), and different tokens where known."""
        n, d = np.broadcast_arrays(np.atleast_1d(params), np.atleast_1d(tokens))
        u = None if unique is None or not self.repeated else np.broadcast_to(np.atleast_1d(unique), n.shape)
        return ln_loss(self.theta, where(n, d, self.centre, u))

    def noise(self) -> np.ndarray:
        """Standard deviation of ln loss of a new run, by draw, shape (R,)."""
        return np.exp(self.ln_noise)

    def flops_per_token(self, ln_params: np.ndarray) -> np.ndarray:
        """Ln M of ln N, as the table's own sizes relate the two (straight between them in logarithms)."""
        known = np.log(self.sizes)
        params, index = np.unique(known[:, 0].round(9), return_inverse=True)
        per_token = np.bincount(index, known[:, 1]) / np.bincount(index)
        ratio = per_token - params
        if float(np.ptp(ratio)) < 1e-3:
            return ln_params + float(ratio.mean())
        return prolonged(ln_params, *_joined(params, per_token))

    def params_of(self, ln_flops_per_token: np.ndarray) -> np.ndarray:
        """Ln N of ln M: the inverse of `flops_per_token`, which grows."""
        low, high = math.log(self.params_range[0]) - 12, math.log(self.params_range[1]) + 16
        grid = np.linspace(low, high, 2000)
        return np.interp(ln_flops_per_token, self.flops_per_token(grid), grid)

    def best(self, flops: float) -> Best:
        """The best size of a budget by every draw."""
        sizes = self._grid(flops)
        ln_m = self.flops_per_token(sizes)
        values = self.ln_loss(np.exp(sizes), np.exp(math.log(flops) - ln_m))
        at = first_lowest(values)
        rows = np.arange(len(values))
        before, here, after = values[rows, at - 1], values[rows, at], values[rows, at + 1]
        bend = np.maximum(before - 2 * here + after, 1e-15)
        off = np.clip(0.5 * (before - after) / bend, -1.0, 1.0)
        ln_n = sizes[at] + off * (sizes[1] - sizes[0])
        return Best(ln_n, self.flops_per_token(ln_n), here - 0.25 * (before - after) * off, flops)

    def _grid(self, flops: float) -> np.ndarray:
        """Ln sizes among which the best of a budget lies: further out for budgets outside those that were run."""
        low = math.log(self.params_range[0]) - BELOW - 0.8 * max(math.log(self.budgets[0] / flops), 0.0)
        high = math.log(self.params_range[1]) + ABOVE + 0.8 * max(math.log(flops / self.budgets[1]) - 2.3, 0.0)
        return np.linspace(low, high, max(STEPS, round((high - low) / WIDEST)))


def _joined(params: np.ndarray, per_token: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sizes closer than 2 % become one, since a slope between them would be noise."""
    group = np.cumsum(np.concatenate([[0], np.diff(params) > 0.02]))
    count = np.bincount(group)
    return np.bincount(group, params) / count, np.bincount(group, per_token) / count


def first_lowest(values: np.ndarray) -> np.ndarray:
    """Index of the first lowest point along each row (R, n), at least one from either end."""
    rises = values[:, 1:] > values[:, :-1]
    at = np.where(rises.any(1), rises.argmax(1), values.shape[1] - 2)
    return np.clip(at, 1, values.shape[1] - 2)


def interior(post: Posterior, flops: float) -> np.ndarray:
    """Whether each draw's loss has a lowest point in size at a budget, well inside the sizes searched."""
    sizes = post._grid(flops)
    values = post.ln_loss(np.exp(sizes), np.exp(math.log(flops) - post.flops_per_token(sizes)))
    at = first_lowest(values)
    return (at > 2) & (at < len(sizes) - 4)
