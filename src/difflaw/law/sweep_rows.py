"""Which rows of a sweep the quadratic is fitted to: those near their cell's optimum, and none that diverged.

The loss rises as a square only near the optimum. Rows are chosen by what the fit says that their batch and rate cost,
not by their own loss: a choice by the noisy loss would keep lucky rows far out and bend the optimum. The choice and
the fit are repeated until they agree; only the first choice goes by the loss, above the lowest of each cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from difflaw.law.sweep_cells import cell_ids, lowest_by, rows_by
from difflaw.law.sweep_quadratic import Quadratic, level_columns

NEAR = 0.015
"""Share of the loss by which a kept row's batch and rate may cost more than the best of its cell."""
NOISES = 4.0
"""The same in standard deviations of the noise, where that is more: within the noise there is no curvature to see."""
FEW = 8
"""Rows, and 3 batches and 3 rates, that half of the cells keep (or all they have); the nearness is widened for that."""
FURTHEST = 4.0
"""Times the nearness that a row of a cell off its optimum may cost: its slope counts, from not too far."""
OUTLIER = 5.0
"""Standard deviations of the noise beyond which a row near the optimum has diverged (or is mistaken)."""
TINY = 0.002
"""Rows as near to the fit as this are no outliers, however small the noise."""
LOST = 0.15
"""Rows this far above the lowest of their cell are not among the first fit's, but for the lowest three."""
ROUNDS = 15


@dataclass(frozen=True)
class NearRows:
    """The rows kept, shape (n,), the fit to them, and the share of the loss up to which they reach."""

    kept: np.ndarray
    theta: np.ndarray
    reach: float


def near_rows(model: Quadratic) -> NearRows:
    """Fit and choose rows in turn until both agree; ``model`` is of all rows."""
    kept, theta, reach, settings = first_rows(model.logs, model.ids), None, NEAR, _settings(model)
    for _ in range(ROUNDS):
        part = model.take(kept)
        theta = part.minimise(theta)
        free = max(int(kept.sum()) - len(theta) - part.levels, 1)
        noise = 1.4826 * float(np.median(np.abs(part.residual(theta)))) * np.sqrt(kept.sum() / free)
        cost = model.cost(theta)
        least = np.zeros(1) if model.ids is None else lowest_by(model.ids, cost)
        reach = max(NEAR, NOISES * noise, _needed(cost - least, settings, 4 * len(model.names)))
        near = (cost - least <= reach) & (cost <= FURTHEST * reach)
        chosen = near & (np.abs(_miss(model, theta, near & kept)) <= max(OUTLIER * noise, TINY))
        if chosen.sum() < len(theta) + part.levels + 3 or (chosen == kept).all():
            break
        kept = chosen
    part = model.take(kept)
    return NearRows(kept, part.minimise(theta), reach)


def first_rows(logs: dict[str, np.ndarray], cells: np.ndarray | None) -> np.ndarray:
    """Rows within twice `NEAR` of their cell's lowest loss, or the cell's lowest third (less lost ones), if more.

    Without cells, rows within a factor 2 of size and tokens are compared by their height above a smooth surface
    through the lowest half of all rows.
    """
    loss, few = logs["loss"], FEW
    if cells is None:
        design, low, few = level_columns(logs), np.ones(len(loss), bool), 0
        for _ in range(4):
            above = loss - design @ np.linalg.lstsq(design[low], loss[low], rcond=1e-9)[0]
            low = above <= np.median(above)
        loss, cells = above, cell_ids(logs["params"], logs["tokens"], math.log(2))
    above = loss - lowest_by(cells, loss)
    counts, order = np.bincount(cells), np.lexsort((above, cells))
    rank = np.empty(len(loss))
    rank[order] = np.arange(len(loss)) - np.repeat(np.cumsum(counts) - counts, counts)
    return (above <= 2 * NEAR) | ((rank < np.maximum(counts[cells] / 3, few)) & ((above <= LOST) | (rank < 3)))


def _settings(model: Quadratic) -> list[tuple[np.ndarray, list[np.ndarray]]]:
    """Rows of each cell, and which of its batches and of its rates each of them has; empty without cells."""
    if model.ids is None:
        return []
    tried = [model.logs[name].round(3) for name in ("batch", "lr")]
    return [(r, [np.unique(t[r], return_inverse=True)[1] for t in tried]) for r in rows_by(model.ids)]


def _needed(above: np.ndarray, settings: list[tuple[np.ndarray, list[np.ndarray]]], rows: int) -> float:
    """The nearness at which half of the cells keep `FEW` rows, three batches and three rates, or all they have.

    Without cells, that at which there are ``rows`` rows in all.
    """
    if not settings:
        return float(np.sort(above)[min(rows, len(above)) - 1])
    needs = []
    for members, tried in settings:
        need = np.sort(above[members])[min(FEW, len(members)) - 1]
        for which in tried:
            nearest = np.full(int(which.max()) + 1, np.inf)
            np.minimum.at(nearest, which, above[members])
            need = max(need, np.sort(nearest)[min(3, len(nearest)) - 1])
        needs.append(need)
    return float(np.median(needs)) * (1 + 1e-9)


def _miss(model: Quadratic, theta: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Model less data for all rows, shape (n,); a cell's level is the median of its rows near the optimum."""
    error = model.error(theta)
    if model.ids is None:
        return error
    missed = np.empty_like(error)
    for rows in rows_by(model.ids):
        some = rows[near[rows]]
        missed[rows] = error[rows] - np.median(error[some if len(some) else rows])
    return missed
