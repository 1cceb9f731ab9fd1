"""Which runs to make: those that shrink the variance of what is to be known most, for what they cost.

Draws of a law hold all that is uncertain of it: parameters, forms and separate basins of the fit. A run's worth is how
much of a target's variance it would explain, sum_t cov(f_t, f_j)²/(var f_j + s_j²), and once it is chosen every draw is
moved as if it had been measured (the update of an ensemble Kalman filter; Evensen 1994), so that the next choice knows
of it. No outcome is needed, so a whole batch is chosen at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COST_POWER = 0.4
"""Worth is divided by cost to this power (2604.22753): by the cost itself, dozens of the smallest runs would come."""
TAIL = 0.02
"""Draws beyond these quantiles of a target are drawn in, or a few wild ones decide the design."""
LEAST = 1e-4
"""A choice that takes away a smaller share of the target's first variance is not worth naming."""


@dataclass(frozen=True)
class Choice:
    """One chosen run: its place among the candidates, and the target's mean variance before and after it."""

    index: int
    before: float
    after: float


def choose(
    candidates: np.ndarray,
    targets: np.ndarray,
    noise: np.ndarray,
    cost: np.ndarray,
    budget: float,
    *,
    again: int = 1,
    most: int = 10_000,
    power: float = COST_POWER,
    forced: tuple[int, ...] = (),
    watch: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[list[Choice], np.ndarray]:
    """Candidates to run, in order, and the draws of what is watched (default: the targets) after them.

    Args:
        candidates: ln loss of every candidate by every draw, shape (R, k).
        targets: what is to be known by every draw, shape (R, t), all of one scale (ln loss).
        noise: standard deviation of ln loss of each candidate's run, shape (k,).
        cost: FLOPs of each, shape (k,).
        budget: FLOPs to spend; a run that would overshoot it is passed over.
        again: how often one candidate may come.
        most: choices in all.
        power: of the cost.
        forced: candidates that come first, as far as the budget goes.
        watch: other quantities by every draw, shape (R, w), to be followed without steering the choice.
        seed: of the noise that the draws are moved with.
    """
    rng = np.random.default_rng(seed)
    f, t = candidates - candidates.mean(0), targets - targets.mean(0)
    low, high = np.quantile(t, [TAIL, 1 - TAIL], axis=0)
    t = np.clip(t, low, high)
    f = np.clip(f, *np.quantile(f, [TAIL, 1 - TAIL], axis=0))
    t = t - t.mean(0)
    f = f - f.mean(0)
    first = float((t**2).mean())
    left, times = budget, np.zeros(len(cost), int)
    chosen: list[Choice] = []
    seen = targets if watch is None else watch
    seen = seen - seen.mean(0)
    waiting = list(forced)
    while len(chosen) < most:
        open_ = (cost <= left) & (times < again)
        if not open_.any():
            break
        shared = t.T @ f / len(f)  # (t, k)
        gain = (shared**2).sum(0) / ((f**2).mean(0) + noise**2) / t.shape[1]
        index = next((i for i in waiting if open_[i]), None)
        if index is not None:
            waiting.remove(index)
        else:
            waiting = []
            worth = np.where(open_, gain / cost**power, -1.0)
            index = int(np.argmax(worth))
            if gain[index] < LEAST * first:
                break
        before = float((t**2).mean())
        column = f[:, index].copy()
        measured = column + noise[index] * rng.standard_normal(len(column))
        # The draws' own noise is not quite uncorrelated with them; the exact gain uses what was drawn.
        share = measured / float(measured @ measured)
        f = f - np.outer(measured, share @ f)
        t = t - np.outer(measured, share @ t)
        seen = seen - np.outer(measured, share @ seen)
        times[index] += 1
        left -= float(cost[index])
        chosen.append(Choice(index, before, float((t**2).mean())))
    return chosen, seen
