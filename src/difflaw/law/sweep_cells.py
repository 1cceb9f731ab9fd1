"""Cells of a sweep over batch and rate: rows of equal size and tokens, and which of them end before their optimum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

SAME = 0.02
"""Sizes or tokens that differ by less than this in their logarithm are equal: steps of a batch round the tokens."""
Side = Literal["", "low", "high"]


@dataclass(frozen=True)
class EdgeCell:
    """A size and its tokens whose lowest run has the smallest or largest batch or rate that was tried there."""

    params: float
    tokens: float
    batch: Side
    """Which end of the cell's batches the lowest run lies at; empty if at neither."""
    rate: Side
    """The same for the rates that were run with that run's batch."""


def cell_ids(params: np.ndarray, tokens: np.ndarray, same: float = SAME) -> np.ndarray:
    """The cell of each row, 0 to cells - 1, shape (n,); sizes and tokens in logarithms."""
    pairs = np.stack([_groups(params, same), _groups(tokens, same)], 1)
    return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)


def _groups(values: np.ndarray, same: float) -> np.ndarray:
    """Groups of values no further than ``same`` above the lowest of their group."""
    order, found, first, group = np.argsort(values, kind="stable"), np.zeros(len(values), int), -math.inf, -1
    for i in order:
        if values[i] > first + same:
            first, group = values[i], group + 1
        found[i] = group
    return found


def rows_by(ids: np.ndarray) -> list[np.ndarray]:
    """The rows of each cell, in the order of their cells."""
    return np.split(np.argsort(ids, kind="stable"), np.cumsum(np.bincount(ids))[:-1])


def lowest_by(ids: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The lowest value of each row's cell, shape (n,)."""
    low = np.full(int(ids.max()) + 1, np.inf)
    np.minimum.at(low, ids, values)
    return low[ids]


def within(ids: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values less the mean of their cell, shape (n,) or (n, p)."""
    count = np.maximum(np.bincount(ids), 1)
    columns = values.reshape(len(values), -1)
    means = np.stack([np.bincount(ids, column) / count for column in columns.T], 1)
    return values - means[ids].reshape(values.shape)


def edge_cells(logs: dict[str, np.ndarray], ids: np.ndarray) -> tuple[EdgeCell, ...]:
    """Cells whose lowest loss lies at the edge of their own batches or rates, by size and tokens.

    Args:
        logs: logarithms of params, tokens, batch, lr and loss, each of shape (n,).
        ids: the cell of each row.
    """
    found = []
    for rows in rows_by(ids):
        best = rows[np.argmin(logs["loss"][rows])]
        beside = rows[np.abs(logs["batch"][rows] - logs["batch"][best]) < SAME]
        batch, rate = _side(logs["batch"], rows, best), _side(logs["lr"], beside, best)
        if batch or rate:
            found.append(EdgeCell(math.exp(logs["params"][best]), math.exp(logs["tokens"][best]), batch, rate))
    return tuple(found)


def _side(values: np.ndarray, rows: np.ndarray, best: int) -> Side:
    """The end of the values of ``rows`` at which ``best`` lies; none where all are equal."""
    if np.ptp(values[rows]) <= SAME:
        return ""
    if values[best] <= values[rows].min() + SAME:
        return "low"
    return "high" if values[best] >= values[rows].max() - SAME else ""


def edges_text(edges: tuple[EdgeCell, ...], cells: int) -> str:
    """A warning that says how many cells end before their optimum and on which side; empty where none does."""
    if not edges:
        return ""
    ends = {
        "smallest batch": [e.batch == "low" for e in edges],
        "largest batch": [e.batch == "high" for e in edges],
        "lowest rate": [e.rate == "low" for e in edges],
        "highest rate": [e.rate == "high" for e in edges],
    }
    parts = [f"{sum(at)} at the {name}" for name, at in ends.items() if any(at)]
    return (
        f"in {len(edges)} of {cells} cells (size and tokens) the lowest run lies at the edge of what was run "
        f"({', '.join(parts)}); what lies beyond is inferred from the slope there"
    )
