"""Covariances of the parameters of a surface fit: sandwich, equal-noise, and with an error shared by each size."""

from __future__ import annotations

import numpy as np

TUNING = 1.345 * 1.4826
"""Huber's tuning constant (95 % efficient for normal errors) times the factor from MAD to standard deviation."""


def sandwich(jacobian: np.ndarray, residual: np.ndarray, cluster: np.ndarray, delta: float) -> np.ndarray:
    """CR3 sandwich: HC3 with whole runs left out, (I - H_gg)⁻¹ on each run's Huber scores; HC3 for one row a run.

    The Huber score is flat outside ±delta, so only rows inside give the objective curvature. For a small delta those
    are few, so the curvature is counted in a wider band and scaled down (Powell's estimator for least absolute
    deviations): scatter that differs from row to row, as among the published Chinchilla runs, makes a common share 1.8
    times too sure.

    Args:
        jacobian: of ln model, shape (n, p).
        residual: of ln loss, shape (n,).
        cluster: run of each row, 0 to G - 1.
        delta: of the Huber loss; infinite for least squares, 0 for least absolute deviations.
    """
    jac, scale = scaled(jacobian)
    delta = max(delta, 1e-9)
    band = max(delta, TUNING * float(np.median(np.abs(residual - np.median(residual)))))
    inside = np.abs(residual) <= band
    if inside.sum() < 2 * jac.shape[1]:
        inside = np.ones_like(inside)
    share = min(delta / max(band, 1e-300), 1.0) if np.isfinite(band) else 1.0
    bread = np.linalg.pinv(jac[inside].T @ jac[inside], rcond=1e-14) / share
    hat = np.linalg.pinv(jac.T @ jac, rcond=1e-14)
    scores = np.clip(residual, -delta, delta)
    groups = int(cluster.max()) + 1
    if groups == len(residual):
        leverage = np.einsum("ij,jk,ik->i", jac, hat, jac)
        pieces = jac * (scores / np.maximum(1 - leverage, 1e-6))[:, None]
    else:
        order = np.argsort(cluster, kind="stable")
        edges = np.searchsorted(cluster[order], np.arange(1, groups))
        found = []
        for rows in np.split(order, edges):
            # (I - J K J')⁻¹ s = s + J (K⁻¹ - J'J)⁻¹ J's, a p x p solve however many rows a run has.
            own = jac[rows]
            pull = own.T @ scores[rows]
            found.append(pull + own.T @ own @ (np.linalg.pinv(jac.T @ jac - own.T @ own, rcond=1e-8) @ pull))
        pieces = np.array(found)
    return bread @ (pieces.T @ pieces) @ bread / np.outer(scale, scale)


def equal_noise(jacobian: np.ndarray, variance: float) -> np.ndarray:
    """variance·(J'J)⁻¹: the sharpest where all rows are equally noisy, too narrow (.90 for .95) where they are not."""
    jac, scale = scaled(jacobian)
    return variance * np.linalg.pinv(jac.T @ jac, rcond=1e-14) / np.outer(scale, scale)


def shared_by_size(jacobian: np.ndarray, groups: np.ndarray, between: float) -> np.ndarray:
    """between·B J'ZZ'J B, B = (J'J)⁻¹: what an error of variance ``between``, shared by a size's rows, adds.

    To be added to a covariance for the rows' own errors, which already holds a row's share of it: for k rows a size the
    sum is too wide by about 1/k, on the safe side.
    """
    jac, scale = scaled(jacobian)
    bread = np.linalg.pinv(jac.T @ jac, rcond=1e-14)
    sizes = int(groups.max()) + 1
    summed = np.stack([np.bincount(groups, column, sizes) for column in jac.T])  # (p, sizes)
    return bread @ (between * (summed @ summed.T)) @ bread / np.outer(scale, scale)


def scaled(jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of norm one, and the norms: a floor near zero has derivatives near zero, which is no lack of rank."""
    norm = np.maximum(np.linalg.norm(jacobian, axis=0), 1e-300)
    return jacobian / norm, norm


def condition(jacobian: np.ndarray) -> float:
    """Condition number of the column-scaled derivatives: 20-100 for good designs, above 1e5 nothing is determined."""
    return float(np.linalg.cond(scaled(jacobian)[0]))
