"""Where a surface fit starts: variable projection on a grid of exponents, so that no thousands of starts are needed.

For fixed exponents the model is linear in (E, A, B), so every cell of the grid is a small weighted least-squares solve;
weights 1/L² make it least squares in ln L. Kaplan's form is linear in (A, B) after L^(1/beta).
"""

from __future__ import annotations

import numpy as np

from difflaw.law.surface.forms import Form

GRID = np.geomspace(0.03, 1.5, 39)
SEPARATION = 3
"""Starts are at least so many grid cells from each other, so that each can find another minimum."""


def grid_starts(form: Form, x: np.ndarray, z: np.ndarray, y: np.ndarray, count: int = 4) -> np.ndarray:
    """The best separated cells of the grid with positive coefficients, as theta, shape (up to ``count``, p).

    Args:
        form: the surface.
        x: centred ln N, shape (n,).
        z: centred ln D, shape (n,).
        y: ln loss, shape (n,).
        count: most starts.
    """
    solution, cost = _kaplan(x, z, y) if form.name == "kaplan" else _additive(form, x, z, y)
    if form.name == "tied":
        cost = np.where(np.eye(len(GRID), dtype=bool), cost, np.inf)
    found: list[np.ndarray] = []
    taken: list[tuple[int, int]] = []
    for flat in np.argsort(cost, axis=None, kind="stable"):
        i, j = divmod(int(flat), len(GRID))
        if not np.isfinite(cost[i, j]) or len(found) == count:
            break
        if all(max(abs(i - a), abs(j - b)) >= SEPARATION for a, b in taken):
            taken.append((i, j))
            five = np.concatenate([np.log(solution[i, j]), [GRID[i], GRID[j]]])  # a, b, e, alpha, beta
            theta = np.empty(form.count)
            for place, value in zip(form.places, five, strict=True):
                if place >= 0:
                    theta[place] = value
            found.append(theta)
    return np.array(found).reshape(-1, form.count)


def _additive(form: Form, x: np.ndarray, z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((A, B, E) per cell, shape (39, 39, 3), and its cost, infinite where a coefficient is not positive)."""
    loss = np.exp(y)
    w = loss**-2
    p, q = np.exp(-np.outer(GRID, x)), np.exp(-np.outer(GRID, z))  # (39, n)
    floored = form.places[2] >= 0
    known = 0.0 if floored else float(np.exp(form.log_floor))
    target = loss - known
    solution, cost = _solve(p, q, w, target, floored)
    if floored:
        # A floor that wants to be negative is zero there, but starts just above so that it can come back.
        flat, rest = _solve(p, q, w, target, False)
        flat[..., 2] = 0.01 * loss.min()
        negative = solution[..., 2] <= 0
        solution = np.where(negative[..., None], flat, solution)
        cost = np.where(negative, rest, cost)
    else:
        solution[..., 2] = 1.0  # not a parameter; a positive number
    return solution, np.where((solution > 0).all(-1), cost, np.inf)


def _kaplan(x: np.ndarray, z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `_additive`, cell (i, j) being alpha = GRID[i], beta = GRID[j]."""
    k = len(GRID)
    solution, cost = np.ones((k, k, 3)), np.full((k, k), np.inf)
    q = np.exp(-z)[None, :]
    for j, beta in enumerate(GRID):
        if beta < 0.05:
            continue  # L^(1/beta) leaves floating point
        inner = np.exp((y - y.mean()) / beta)
        p = np.exp(-np.outer(GRID / beta, x))
        found, rest = _solve(p, q, inner**-2, inner, False)
        lift = np.exp(np.minimum(y.mean() / beta, 600.0))
        solution[:, j, :2] = found[:, 0, :2] * lift
        cost[:, j] = np.where((found[:, 0, :2] > 0).all(-1), rest[:, 0] * beta**2, np.inf)
    return solution, cost


def _solve(
    p: np.ndarray, q: np.ndarray, w: np.ndarray, target: np.ndarray, floored: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares of target on (p_i, q_j[, 1]) for every pair: coefficients (I, J, 3) and cost (I, J)."""
    size, token, c = len(p), len(q), 3 if floored else 2
    gram, right = np.empty((size, token, c, c)), np.empty((size, token, c))
    gram[..., 0, 0], gram[..., 1, 1] = (p**2 @ w)[:, None], (q**2 @ w)[None, :]
    gram[..., 0, 1] = gram[..., 1, 0] = (p * w) @ q.T
    right[..., 0], right[..., 1] = (p @ (w * target))[:, None], (q @ (w * target))[None, :]
    if floored:
        gram[..., 2, 2], right[..., 2] = w.sum(), w @ target
        gram[..., 0, 2] = gram[..., 2, 0] = (p @ w)[:, None]
        gram[..., 1, 2] = gram[..., 2, 1] = (q @ w)[None, :]
    ridge = 1e-12 * np.trace(gram, axis1=2, axis2=3)[..., None, None] * np.eye(c)
    found = np.linalg.solve(gram + ridge, right[..., None])[..., 0]
    cost = float(w @ target**2) - np.einsum("ijk,ijk->ij", found, right)
    solution = np.zeros((size, token, 3))
    solution[..., :c] = found
    return solution, cost
