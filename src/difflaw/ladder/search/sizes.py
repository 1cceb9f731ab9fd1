"""The sizes a search chooses from, and which of them a budget can pay."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from difflaw.ladder.config import Rung

TOKENS_PER_PARAM = 100.0
"""First guess of the best run: small runs want more tokens than the twenty of large ones. The search corrects it."""
ASPECT_WIDTH, ASPECT_POWER = 32.0, 0.8


def shapes(narrowest: int, widest: int) -> list[Rung]:
    """Widths 2ⁿ and 1.5·2ⁿ, about a factor two in parameters from one to the next.

    Depth is (width/32)^0.8, at least two: width over depth grows from 32 at width 64 to 64 at 1,024, between the small
    and the large shapes of 2512.10858, without the jumps that a step in proportion would put into a law of size.
    """
    widths = sorted(
        {w for n in range(1, 18) for w in (2**n, 3 * 2 ** (n - 1)) if narrowest <= w <= widest and w % 2 == 0}
    )
    return [Rung(width=w, depth=max(2, round((w / ASPECT_WIDTH) ** ASPECT_POWER))) for w in widths]


@dataclass(frozen=True, eq=False)
class Space:
    """What one family may run: its sizes in increasing order and the budgets, each a factor above the last."""

    family: str
    names: tuple[str, ...]
    params: np.ndarray
    """(M,), in the ladder's count."""
    flops_per_token: np.ndarray
    """(M,), in the ladder's count."""
    budgets: tuple[float, ...]
    """FLOPs; those after ``nominal`` are run only where minima are missing."""
    nominal: int
    """Place of the largest budget that was planned."""
    tokens: tuple[float, float]
    """Fewest and most tokens a run may have."""
    asleep: float = math.inf
    """Loss (nats per token) above which nothing but the frequencies of tokens has been learnt."""

    def reach(self, budget: int) -> tuple[int, int] | None:
        """First and last size whose run of this budget has neither too few tokens nor too many; None for no size."""
        tokens = self.budgets[budget] / self.flops_per_token
        able = np.flatnonzero((tokens >= self.tokens[0]) & (tokens <= self.tokens[1]))
        return (int(able[0]), int(able[-1])) if len(able) else None

    def guess(self, budget: int) -> float:
        """Ln of the size at which this budget buys `TOKENS_PER_PARAM` tokens a parameter."""
        ratio = np.log(self.budgets[budget] / self.flops_per_token / self.params)
        return float(np.interp(-math.log(TOKENS_PER_PARAM), -ratio, np.log(self.params)))

    def nearest(self, ln_params: float, within: tuple[int, int]) -> int:
        """The size nearest to e^``ln_params`` in ``within``."""
        low, high = within
        return low + int(np.argmin(np.abs(np.log(self.params[low : high + 1]) - ln_params)))
