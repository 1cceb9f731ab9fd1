"""Least absolute deviations: the limit of a Huber loss with a tiny delta, finished as a sequence of linear programs.

The published coefficients of Besiroglu et al. 2024 (482.01, 2085.43, .3478, .3658) are this fit, although described as
Huber 1e-3: their likelihood scales the Huber loss down to an effective delta of about 5e-9.
"""

from __future__ import annotations

import numpy as np

from difflaw.law.surface.forms import Form, evaluate, jacobian
from difflaw.law.surface.least_squares import solve

SMALL = (1e-3, 1e-4, 1e-5, 1e-6)
"""Huber deltas on the way to zero, relative to a residual of ln L of order one."""


def polish(
    form: Form, x: np.ndarray, z: np.ndarray, y: np.ndarray, theta: np.ndarray, rounds: int = 30
) -> tuple[np.ndarray, float]:
    """Least absolute deviations from a start near it: (theta (p,), sum of |residuals|).

    Each round minimises sum |r + J·d| within a box, a linear program whose solution passes through p of the points, as
    the optimum does; the box shrinks when the true objective did not fall. Ends where a round gains less than 1e-12.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, eye_array, hstack

    for delta in SMALL:
        theta = solve(form, x, z, y, theta[None], delta, tolerance=1e-12).theta[0]
    lows, highs = form.bounds(y)
    n, p = len(y), form.count
    box, residual, parts = 0.05, *_residual(form, x, z, y, theta)
    objective = float(np.abs(residual).sum())
    cost = np.concatenate([np.zeros(p), np.ones(2 * n)])
    for _ in range(rounds):
        jac = jacobian(form, theta[None], x, z, parts)[0].T
        equations = hstack([csr_array(jac), -eye_array(n), eye_array(n)], format="csr")
        limits = np.concatenate(
            [
                np.stack([np.maximum(-box, lows - theta), np.minimum(box, highs - theta)], 1),
                np.tile([0.0, np.inf], (2 * n, 1)),
            ]
        )
        found = linprog(cost, A_eq=equations, b_eq=-residual, bounds=limits, method="highs")
        if found.x is None:
            break
        trial = theta + found.x[:p]
        new_residual, new_parts = _residual(form, x, z, y, trial)
        value = float(np.abs(new_residual).sum())
        gain = objective - value
        if gain > 0:
            theta, residual, parts, objective = trial, new_residual, new_parts, value
        if abs(gain) <= 1e-12 * max(objective, 1e-300):
            break
        box = box * 2 if gain > 0 else min(box, float(np.max(np.abs(found.x[:p])))) / 4
    return theta, objective


def _residual(
    form: Form, x: np.ndarray, z: np.ndarray, y: np.ndarray, theta: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    model, parts = evaluate(form, theta[None], x, z)
    return model[0] - y, parts
