"""Minima and roots of functions of one number: a grid brackets them, SciPy's Brent methods give the digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def lowest(f: Callable[[float], float], grid: Sequence[float] | np.ndarray, tolerance: float = 1e-7) -> float:
    """Where ``f`` is lowest between the neighbours of the best point of ``grid`` (increasing; NaN counts as worst)."""
    from scipy.optimize import minimize_scalar

    points = np.asarray(grid, float)
    values = [f(float(x)) for x in points]
    best = int(np.nanargmin(values))
    ends = (float(points[max(best - 1, 0)]), float(points[min(best + 1, len(points) - 1)]))
    found = minimize_scalar(f, bounds=ends, method="bounded", options={"xatol": tolerance})
    at: float = float(found.x)  # type: ignore[attr-defined]
    return at if f(at) <= values[best] else float(points[best])


def root(f: Callable[[float], float], inside: float, outside: float, tolerance: float = 1e-10) -> float:
    """Where ``f`` changes its sign between two arguments; the one with the smaller magnitude where it does not."""
    from scipy.optimize import brentq

    first, second = f(inside), f(outside)
    if first * second > 0:
        return inside if abs(first) < abs(second) else outside
    return float(brentq(f, inside, outside, xtol=tolerance))  # type: ignore[arg-type]


def first_root(f: Callable[[float], float], grid: Sequence[float] | np.ndarray) -> float | None:
    """The first argument along ``grid`` from which ``f`` is no longer positive; None where it stays positive."""
    before: float | None = None
    for x in np.asarray(grid, float):
        if f(float(x)) <= 0:
            return float(x) if before is None else root(f, before, float(x))
        before = float(x)
    return None
