"""Coordinates in which the posterior of a surface is nearly normal: what data fix well, apart from what they do not.

At the centre of the data the level f = E + A + B and its two slopes alpha·A/f and beta·B/f are well known; how f
divides into E, A and B is not, and bends the posterior of (A, E, alpha) into a banana. So the level, the two slopes and
the shares (as logits) are what is sampled; the other parameters stay as they are.
"""

from __future__ import annotations

import numpy as np

COORDINATES = ("level", "ln_size_slope", "ln_token_slope", "token_share", "size_share", "c", "g", "q", "h")
"""The first five replace (a, b, e, ln_alpha, ln_beta); the parameters of repeated data follow unchanged.
``token_share``: logit of B/f; ``size_share``: logit of A/(E + A)."""


def to_natural(points: np.ndarray) -> np.ndarray:
    """Natural parameters (R, 13) of coordinates (R, 13)."""
    level, size_slope, token_slope, token_share, size_share = points[:, :5].T
    out = points.copy()
    ln_token, ln_rest = -np.logaddexp(0.0, -token_share), -np.logaddexp(0.0, token_share)
    ln_size = ln_rest - np.logaddexp(0.0, -size_share)
    out[:, 0], out[:, 1] = level + ln_size, level + ln_token
    out[:, 2] = level + ln_rest - np.logaddexp(0.0, size_share)
    out[:, 3], out[:, 4] = size_slope - ln_size, token_slope - ln_token
    return out


def to_coordinates(theta: np.ndarray) -> np.ndarray:
    """Coordinates (R, 13) of natural parameters (R, 13): the inverse of `to_natural`."""
    a, b, e, ln_alpha, ln_beta = theta[:, :5].T
    rest = np.logaddexp(a, e)
    level = np.logaddexp(rest, b)
    out = theta.copy()
    out[:, 0], out[:, 1], out[:, 2] = level, ln_alpha + a - level, ln_beta + b - level
    out[:, 3], out[:, 4] = b - rest, a - e
    return out
