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
    f, t = _drawn_in(candidates), _drawn_in(targets)
    first = float((t**2).mean())
    left, times = budget, np.zeros(len(cost), int)
    chosen: list[Choice] = []
    seen = targets if watch is None else watch
    seen, whole = seen - seen.mean(0), candidates - candidates.mean(0)
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
        error = noise[index] * rng.standard_normal(len(f))
        f, t = _moved(f[:, index] + error, f, t)
        whole, seen = _moved(whole[:, index] + error, whole, seen)  # with their tails
        times[index] += 1
        left -= float(cost[index])
        chosen.append(Choice(index, before, float((t**2).mean())))
    return chosen, seen


def as_if_run(
    candidates: np.ndarray, targets: np.ndarray, runs: np.ndarray, noise: float = 0.01, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of candidates (R, k) and targets (R, t) moved as if ``runs`` (R, n) had been measured, one by one."""
    rng = np.random.default_rng([seed, 1])
    f, t, r = candidates - candidates.mean(0), targets - targets.mean(0), runs - runs.mean(0)
    for i in range(r.shape[1]):
        f, t, r = _moved(r[:, i] + noise * rng.standard_normal(len(r)), f, t, r)
    return f, t


def _drawn_in(values: np.ndarray) -> np.ndarray:
    """Draws about their mean, with their tails drawn in."""
    inside = np.clip(values, *np.quantile(values, [TAIL, 1 - TAIL], axis=0))
    return inside - inside.mean(0)


def _moved(measured: np.ndarray, *of: np.ndarray) -> tuple[np.ndarray, ...]:
    """Draws (R, k) as if a run had been measured, with ``measured`` (R,) what each draw would have given.

    The draws' own noise is not quite uncorrelated with them, so the gain is that of what was drawn.
    """
    share = measured / float(measured @ measured)
    return tuple(values - np.outer(measured, share @ values) for values in of)
