"""The loss surface that laws are averaged over: additive, or with a data term that changes with the size.

Additive (Hoffmann et al. 2022): L = E + A·N^-alpha + B·D^-beta.
Interaction: ln B and beta change with x = ln N - mean, z = ln D - mean:
L = E + A·e^(-alpha·x) + exp(b + c·x + q·x² - beta·e^(g·x + h·x²)·z).
Its nine parameters do what the nine of Farseer's form do (Li et al. 2025, 2506.10972): on its 404 runs the root mean
square error of ln L is .0018 for both, against .0085 of the additive form (docs/fitting.md).
Repeated data: D' tokens in place of D (`repeated_data.effective_tokens`), and a penalty for overfitting
exp(p + delta·ln(N/U))·(1 - exp(-kappa·(D/U - 1))) that rises with the epochs and ends (docs/derivations.md#repeated).
Arrays of parameters have shape (R, 13), one row a draw, columns `NAMES`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NAMES = ("a", "b", "e", "ln_alpha", "ln_beta", "c", "g", "q", "h", "p", "delta", "ln_kappa", "ln_half_life")
"""Natural parameters: ln A, ln B and ln E at the centre, ln alpha, ln beta; c, g, q, h; those of repeated data."""
COUNT = len(NAMES)
INTERACTION, REPEATED = slice(5, 9), slice(9, 13)
PENALTY = 9
"""Place of p; -inf there is no overfitting."""
NOTHING = -80.0
"""ln of a term that is not there."""
STEEPEST = 3.0
"""ln of the largest exponent that is evaluated."""


@dataclass(frozen=True)
class Where:
    """Points to evaluate: logarithms from the centre, shape (n,); the last two None where no data are repeated."""

    x: np.ndarray
    z: np.ndarray
    ln_ratio: np.ndarray | None = None
    """ln(N/U), U the different tokens."""
    ln_unique: np.ndarray | None = None
    """ln U from the centre of ln D."""


def where(
    params: np.ndarray, tokens: np.ndarray, centre: tuple[float, float, float], unique: np.ndarray | None = None
) -> Where:
    """Points (N, D) and, where data may repeat, U: arrays of one shape (n,); infinite or NaN U repeats nothing."""
    ln_n, ln_d = np.log(np.asarray(params, float)), np.log(np.asarray(tokens, float))
    x, z = ln_n - centre[0], ln_d - centre[1]
    if unique is None:
        return Where(x, z)
    known = np.asarray(unique, float)
    known = np.where(np.isfinite(known) & (known > 0), known, np.asarray(tokens, float))
    ln_u = np.minimum(np.log(known), ln_d)
    return Where(x, z, ln_n - ln_u - centre[2], ln_u - centre[1])


def ln_loss(theta: np.ndarray, at: Where) -> np.ndarray:
    """Ln of the loss, shape (R, n), of parameters (R, 13) at n points."""
    a, b, e, ln_alpha, ln_beta, c, g, q, h, p, delta, ln_kappa, ln_half_life = (theta[:, i, None] for i in range(COUNT))
    alpha = np.exp(np.minimum(ln_alpha, STEEPEST))
    total = np.exp(np.clip(a - alpha * at.x, NOTHING, 60))
    z = at.z
    if at.ln_unique is not None:
        # D' = U + U·R*·(1 - exp(-(D/U - 1)/R*)), from its logarithm over U.
        repeats = np.expm1(np.maximum(at.z - at.ln_unique, 0.0))
        life = np.exp(np.clip(ln_half_life, -3, 30))
        z = at.ln_unique + np.log1p(-life * np.expm1(-repeats / life))
    if np.any(theta[:, INTERACTION]):
        beta = np.exp(np.minimum(ln_beta + np.clip((g + h * at.x) * at.x, -2, 2), STEEPEST))
        token = b + (c + q * at.x) * at.x - beta * z
    else:
        token = b - np.exp(np.minimum(ln_beta, STEEPEST)) * z
    total += np.exp(np.clip(token, NOTHING, 60))
    total += np.exp(e)
    if at.ln_unique is not None and at.ln_ratio is not None:
        ramp = -np.expm1(-np.exp(np.clip(ln_kappa, -30, 5)) * repeats)
        total += np.exp(np.clip(p + delta * at.ln_ratio, NOTHING, 30)) * ramp
    return np.log(total)
