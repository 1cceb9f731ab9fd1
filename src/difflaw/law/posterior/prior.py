"""What is believed of a surface before its data: wide, and from published laws where the data may not reach.

Exponents of published additive laws lie between .28 and .51 (Chinchilla .35 and .37, the first paper's five noise types
.29-.35 and .35-.37, Muennighoff .35); a standard deviation of .5 in the logarithm covers half and twice as much.
The interaction's centre is what the two large public tables show when fitted by themselves: c .24 and .20, g -.13 and
-.14, q -.012 and 0, alpha .10 and .18 (Farseer's 404 runs and Chinchilla's 240), the spread about half as large as c.
Its floor may be anything from none (Farseer) to half of the size's part (Chinchilla).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from difflaw.law.posterior.model import COUNT, INTERACTION, REPEATED

INTERACTION_ODDS = 0.5
"""Probability, before the data, that the data term changes with the size."""
NOISE = (math.log(0.003), 3.0)
"""Mean and standard deviation of ln of the run noise (of ln loss)."""
GROWTH = (math.log(0.2), 1.2)
"""The same of ln kappa, by which noise grows with the distance of a loss from the lowest: e^(kappa·distance)."""

SOFT = 0.002
"""Width in ln E of the wall at a known entropy: sharp would have no slope to climb; draws below it are left out."""


@dataclass(frozen=True)
class Prior:
    """Independent normals of the coordinates but for the two slopes, whose exponents ln alpha and ln beta are normal.

    ``mean`` and ``sd`` have shape (13,), in the order of `model.NAMES`: places 1 and 2 (the slopes) hold the mean and
    deviation of ln alpha and ln beta; ``free`` says which coordinates are sampled.
    """

    mean: np.ndarray
    sd: np.ndarray
    free: np.ndarray
    floor: float = -math.inf
    """ln E is hardly below this: the known entropy of the text."""
    shared: tuple[np.ndarray, np.ndarray] | None = None
    """Mean and precision of (ln alpha, ln beta, ln E) as other families know it, shapes (3,) and (3, 3)."""

    def standardised(self, points: np.ndarray, natural: np.ndarray) -> np.ndarray:
        """Distance of the free coordinates from their means in standard deviations, (R, k)."""
        value = points.copy()
        value[:, 1:3] = natural[:, 3:5]  # ln alpha = slope - ln share: a shift, so the density is the same
        return ((value - self.mean) / self.sd)[:, self.free]

    def below_floor(self, natural: np.ndarray) -> np.ndarray:
        """How far ln E of each row lies below the known entropy, in units of `SOFT`; 0 above it."""
        return np.maximum(self.floor - natural[:, 2], 0.0) / SOFT

    def log_density(self, points: np.ndarray, natural: np.ndarray) -> np.ndarray:
        """Ln of the density of coordinates (R, 13) with their natural parameters, shape (R,)."""
        t = self.standardised(points, natural)
        out = -0.5 * (t * t).sum(1) - np.log(self.sd[self.free] * math.sqrt(2 * math.pi)).sum()
        if self.floor > -math.inf:
            out = out - 0.5 * self.below_floor(natural) ** 2
        if self.shared is not None:
            centre, precision = self.shared
            off = natural[:, [3, 4, 2]] - centre
            out = out - 0.5 * np.einsum("ri,ij,rj->r", off, precision, off)
        return out


def prior_of(
    level: float,
    *,
    interaction: bool,
    repeated: bool,
    floor: float = -math.inf,
    shared: tuple[np.ndarray, np.ndarray] | None = None,
) -> Prior:
    """The prior of a form.

    Args:
        level: mean ln loss of the data.
        interaction: whether the data term changes with the size.
        repeated: whether data are repeated.
        floor: ln of the known entropy, nats per token.
        shared: what other families say of (ln alpha, ln beta, ln E): mean and precision.
    """
    usual = math.log(0.35)
    mean = np.array([level, usual, usual, -0.8, -0.5, 0.0, 0.0, 0.0, 0.0, level - 1.5, 1.0, -4.5, 3.7])
    sd = np.array([1.0, 0.5, 0.5, 1.3, 1.7, 1.0, 1.0, 1.0, 1.0, 1.5, 0.3, 1.5, 1.5])
    free = np.zeros(COUNT, bool)
    free[:5] = True
    if interaction:
        free[INTERACTION] = True
        mean[1], sd[1] = math.log(0.15), 1.0
        mean[4], sd[4] = 3.0, 4.0
        mean[INTERACTION], sd[INTERACTION] = (0.2, -0.12, -0.01, 0.0), (0.1, 0.06, 0.015, 0.0025)
    free[REPEATED] = repeated
    return Prior(mean, sd, free, floor, shared)
