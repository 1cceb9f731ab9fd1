"""Piecewise straight lines whose end pieces go on: how one count of a model's size follows another along a ladder."""

from __future__ import annotations

import math

import numpy as np

REACH = 10.0
"""Factor past the sizes that were run within which one count of a size is still converted into another."""


def prolonged(x: np.ndarray, known_x: np.ndarray, known_y: np.ndarray) -> np.ndarray:
    """Straight between the known points (increasing x), the end pieces prolonged; slope 1 through a single point.

    Args:
        x: where, any shape.
        known_x: shape (k,).
        known_y: shape (k,).
    """
    if len(known_x) == 1:
        return known_y[0] + (x - known_x[0])
    right = np.clip(np.searchsorted(known_x, x), 1, len(known_x) - 1)
    slope = (known_y[right] - known_y[right - 1]) / np.maximum(known_x[right] - known_x[right - 1], 1e-12)
    return known_y[right - 1] + slope * (x - known_x[right - 1])


def params_at(flops_per_token: float, known: np.ndarray) -> float | None:
    """Parameters of a model of this many FLOPs per token, as a table's own sizes relate the two in logarithms.

    Args:
        flops_per_token: M.
        known: pairs (params, flops_per_token) of the sizes that were run, shape (k, 2).

    Returns:
        None further than a factor `REACH` past the sizes that were run, or where M does not grow with the size;
        None too for an M that is no positive finite number.
    """
    sizes, index = np.unique(np.log(known[:, 0]).round(9), return_inverse=True)
    per_token = np.bincount(index, np.log(known[:, 1])) / np.bincount(index)
    if not 0 < flops_per_token < math.inf:
        return None
    at = math.log(flops_per_token)
    if (np.diff(per_token) <= 0).any():
        return None
    if not per_token[0] - math.log(REACH) <= at <= per_token[-1] + math.log(REACH):
        return None
    return math.exp(float(prolonged(np.array([at]), per_token, sizes)[0]))
