"""Rows that share an error: those of one run count for less, and those of one size make every interval wider.

m rows with an error correlated by rho tell as much of their mean as m/(1 + (m - 1)·rho) independent ones (Kish's design
effect). Rows along a run are weighted by it. An error shared by a size (a mis-tuned rate, an unlucky seed) leaves the
estimate alone and widens the draws about it, since weighing all rows down would let the prior decide instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from difflaw.law.posterior.likelihood import LN_MOST_GROWTH
from difflaw.law.posterior.model import ln_loss
from difflaw.law.posterior.modes import Mode, Problem
from difflaw.law.surface.size_effect import size_effect, size_groups

OUTLYING = 4.0
"""Residuals are cut at this many standard deviations: failed runs say nothing of what sound ones share."""
STEP = 1e-4


@dataclass(frozen=True)
class SharedError:
    """Weight of each row, shape (n,), and the factor by which an error shared by sizes widens the draws."""

    weight: np.ndarray
    stretch: float


def shared_error(problem: Problem, mode: Mode, runs: np.ndarray, params: np.ndarray) -> SharedError:
    """What rows share about a fitted mode.

    Args:
        problem: rows and prior, the rows independent so far.
        mode: of its density.
        runs: name of each row's run, shape (n,).
        params: size of each row, shape (n,).
    """
    growth = math.exp(min(float(mode.place[-1]), LN_MOST_GROWTH))
    unit = np.exp(-(float(mode.place[-2]) + growth * problem.rows.height))
    residual = ln_loss(problem.natural(mode.place[None]), problem.rows.at)[0] - problem.rows.y
    standard = np.clip(residual * unit, -OUTLYING, OUTLYING)
    weight = _within_runs(standard, runs)
    groups = size_groups(np.log(params))
    effect = size_effect(_slopes(problem, mode, growth), standard, groups)
    if not effect.detected:
        return SharedError(weight, 1.0)
    rho = effect.between_sd**2 / (effect.between_sd**2 + effect.within_sd**2)
    per_size = np.bincount(groups, weight)
    rows = float((per_size**2).sum() / per_size.sum())
    return SharedError(weight, math.sqrt(1 + max(rows - 1, 0.0) * rho))


def _within_runs(standard: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Weights of rows by the correlation of residuals within a run (by moments: pairs' covariance over variance)."""
    names, run = np.unique(runs, return_inverse=True)
    if len(names) == len(runs):
        return np.ones(len(runs))
    several = np.bincount(run)
    pairs = float((several * (several - 1)).sum())
    within = float((np.bincount(run, standard) ** 2).sum() - (standard**2).sum())
    rho = min(max(within / pairs / max(float((standard**2).mean()), 1e-12), 0.0), 1.0)
    return 1 / (1 + (several[run] - 1) * rho)


def _slopes(problem: Problem, mode: Mode, growth: float) -> np.ndarray:
    """Derivatives of the standardised ln loss by the surface's coordinates, (n, k)."""
    k = len(problem.free)
    side = np.concatenate([STEP * np.eye(k), np.zeros((k, 2))], axis=1)
    moved = ln_loss(problem.natural(np.concatenate([mode.place + side, mode.place - side])), problem.rows.at)
    return ((moved[:k] - moved[k:]) / (2 * STEP) * np.exp(-growth * problem.rows.height)).T
