"""Levenberg-Marquardt over many fits of one form at once: resamples, planted ladders, profiles, starts.

Every fit minimises sum_i w_i·rho_delta(ln model_i - y_i), rho the Huber loss, in NumPy arrays of (fits, rows). Chunks
of about 250 fits stay in cache (measured: 1,000 at a time are half as fast); fits that have converged leave.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from difflaw.law.surface.forms import Form, evaluate, jacobian

CHUNK = 60_000
"""Fits times rows in one chunk."""


@dataclass(frozen=True)
class Solved:
    """Where each fit ended: theta (R, p), objective (R,), and whether it settled rather than ran out of rounds (R,)."""

    theta: np.ndarray
    objective: np.ndarray
    settled: np.ndarray


def huber_rows(residual: np.ndarray, delta: float | np.ndarray) -> np.ndarray:
    """r²/2 inside ±delta and delta·(|r| - delta/2) outside, row by row; delta infinite is least squares."""
    size = np.abs(residual)
    inside = np.minimum(size, delta)
    return inside * (size - 0.5 * inside)


def solve(
    form: Form,
    x: np.ndarray,
    z: np.ndarray,
    y: np.ndarray,
    theta: np.ndarray,
    delta: float | np.ndarray = math.inf,
    weights: np.ndarray | None = None,
    *,
    log_floor: np.ndarray | None = None,
    tolerance: float = 1e-9,
    rounds: int = 200,
    workers: int = 1,
) -> Solved:
    """Fit ``form`` from each row of theta.

    Args:
        form: the surface.
        x: centred ln N, shape (n,).
        z: centred ln D, shape (n,).
        y: ln loss, shape (n,) or, one data set a fit, (R, n).
        theta: starts, shape (R, p).
        delta: of the Huber loss, one or (R,); infinite for least squares.
        weights: of the rows, (n,) or (R, n), such as how often each was drawn; None for ones.
        log_floor: ln E per fit (R,) where the form fixes E, for a profile; None for the form's own.
        tolerance: relative fall of the objective, twice in a row, at which a fit has settled.
        rounds: most iterations.
        workers: threads over chunks; the result does not depend on it.
    """
    count, n = len(theta), len(x)
    lows, highs = form.bounds(y)
    step = max(1, min(count, CHUNK // max(n, 1), 250))
    pieces = [slice(i, min(i + step, count)) for i in range(0, count, step)]

    d = np.broadcast_to(np.asarray(delta, float), (count,))[:, None]

    def run(piece: slice) -> Solved:
        own_y = y[piece] if y.ndim == 2 else y
        own_w = weights[piece] if weights is not None and weights.ndim == 2 else weights
        floor = None if log_floor is None else log_floor[piece]
        start = np.clip(theta[piece], lows, highs)
        return _chunk(form, x, z, own_y, start, d[piece], own_w, floor, (lows, highs), tolerance, rounds)

    if workers > 1 and len(pieces) > 1:
        with ThreadPoolExecutor(workers) as pool:
            found = list(pool.map(run, pieces))
    else:
        found = [run(piece) for piece in pieces]
    return Solved(*(np.concatenate([getattr(f, name) for f in found]) for name in ("theta", "objective", "settled")))


def _chunk(
    form: Form,
    x: np.ndarray,
    z: np.ndarray,
    y: np.ndarray,
    theta: np.ndarray,
    d: np.ndarray,
    weights: np.ndarray | None,
    log_floor: np.ndarray | None,
    bounds: tuple[np.ndarray, np.ndarray],
    tolerance: float,
    rounds: int,
) -> Solved:
    """One chunk of `solve`; arrays shrink as fits settle. Bounds are held as in Bertsekas' projected Newton method."""
    lows, highs = bounds
    count, p = theta.shape
    out = Solved(theta.copy(), np.full(count, math.inf), np.zeros(count, bool))
    alive: np.ndarray = np.arange(count)  # declared, since inferring numpy's types around the loop takes for ever
    plain = bool(np.isinf(d).all())
    damping: np.ndarray = np.full(count, 1e-3)
    straightness: np.ndarray = np.ones(count)
    calm: np.ndarray = np.zeros(count, int)
    score: np.ndarray | None
    curve: np.ndarray | None

    def residual_of(t: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...], np.ndarray]:
        model, parts = evaluate(form, t, x, z, log_floor)
        model -= y
        rows = 0.5 * model * model if plain else huber_rows(model, d)
        if weights is not None:
            rows *= weights
        return model, parts, rows.sum(1)

    residual, parts, objective = residual_of(theta)
    diagonal = np.arange(p)
    for _ in range(rounds):
        jac = jacobian(form, theta, x, z, parts)
        if plain:
            curve = score = weights
        else:
            size = np.abs(residual)
            h = d / np.maximum(size, d)  # min(1, delta/|r|)
            score = h if weights is None else h * weights
            # Outside ±delta the loss is straight; a full share of IRLS curvature is safe but slow, less is Newton.
            curve = np.where(size > d, score * straightness[:, None], score)
        weighted: np.ndarray = jac if curve is None else jac * (curve[:, None, :] if curve.ndim == 2 else curve)
        hessian: np.ndarray = weighted @ jac.transpose(0, 2, 1)
        pull: np.ndarray = residual if score is None else residual * score
        gradient: np.ndarray = (jac @ pull[:, :, None])[:, :, 0]
        held: np.ndarray = ((theta <= lows) & (gradient > 0)) | ((theta >= highs) & (gradient < 0))
        if held.any():
            gradient = np.where(held, 0.0, gradient)
            hessian = np.where(held[:, :, None] | held[:, None, :], 0.0, hessian)
            hessian[:, diagonal, diagonal] += held
        scale: np.ndarray = hessian[:, diagonal, diagonal]
        hessian[:, diagonal, diagonal] += damping[:, None] * (scale + 1e-12 * scale.sum(1, keepdims=True)) + 1e-300
        try:
            change: np.ndarray = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            change = np.stack([np.linalg.pinv(a) @ g for a, g in zip(hessian, gradient, strict=True)])
        trial: np.ndarray = np.clip(theta - change, lows, highs)
        new_residual, new_parts, value = residual_of(trial)
        better: np.ndarray = value <= objective
        gain: np.ndarray = np.where(better, objective - value, 0.0)
        moved = np.abs(trial - theta).max(1)
        small: np.ndarray = (gain <= tolerance * objective) & better | (moved < 1e-12)
        calm = np.where(small, calm + 1, np.where(better, 0, calm))
        damping = np.where(better, np.maximum(damping / 8, 1e-14), damping * 6)
        straightness = np.where(better, np.maximum(straightness * 0.4, 0.02), np.minimum(straightness * 5, 1.0))
        if better.all():
            theta, objective, residual, parts = trial, value, new_residual, new_parts
        else:
            theta = np.where(better[:, None], trial, theta)
            objective = np.where(better, value, objective)
            residual[better] = new_residual[better]
            for old, new in zip(parts, new_parts, strict=True):
                old[better] = new[better]
        done: np.ndarray = (calm >= 2) | (damping > 1e13) | (objective <= 1e-28)
        if done.any():
            left = alive[done]
            out.theta[left], out.objective[left], out.settled[left] = theta[done], objective[done], True
            keep = ~done
            alive = alive[keep]
            if not len(alive):
                return out
            theta, objective, residual = theta[keep], objective[keep], residual[keep]
            parts = tuple(part[keep] for part in parts)
            damping, straightness, calm, d = damping[keep], straightness[keep], calm[keep], d[keep]
            y = y[keep] if y.ndim == 2 else y
            weights = weights[keep] if weights is not None and weights.ndim == 2 else weights
            log_floor = log_floor[keep] if log_floor is not None else None
    out.theta[alive], out.objective[alive] = theta, objective
    return out
