"""Draws from a density by adaptive importance sampling, with the density's integral as a by-product.

Student-t proposals are placed on the modes, then fitted again and again to all points so far, each point weighted by
target over the mixture of all proposals (adaptive multiple importance sampling; Cornuet et al. 2012). A few thousand
evaluations, in batches, give draws, an effective sample size that says whether to believe them, and the evidence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

DEGREES = 5.0
STAGES = (400, 300, 300, 400, 600)
MORE, MOST_MORE = 600, 6
"""Points in a further stage and most further stages, where the effective sample size is below `ENOUGH`."""
ENOUGH = 200.0

Target = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Sample:
    """Weighted points (R, q), weights that sum to one (R,), ln of the density's integral, effective sample size."""

    points: np.ndarray
    weights: np.ndarray
    ln_evidence: float
    size: float


@dataclass(frozen=True)
class _Proposal:
    """A Student t: mean, root of its scale matrix, the root's inverse and ln determinant, and points drawn from it."""

    mean: np.ndarray
    root: np.ndarray
    inverse: np.ndarray
    ln_det: float
    count: int


def sample(target: Target, modes: Sequence[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> Sample:
    """Sample a density known up to a factor.

    Args:
        target: ln density of points (R, q), shape (R,); -inf where it is zero.
        modes: (place, covariance there) of its modes, shapes (q,) and (q, q).
        rng: of the draws.
    """
    from scipy.special import gammaln

    q = len(modes[0][0])
    constant = float(gammaln((DEGREES + q) / 2) - gammaln(DEGREES / 2) - 0.5 * q * math.log(DEGREES * math.pi))
    proposals: list[_Proposal] = []
    points = np.empty((0, q))
    values = np.empty(0)
    mixture = np.empty((0, 0))  # ln density of every proposal at every point
    stage = 0
    while True:
        new = _stage(stage, modes, points, values, mixture, proposals, q)
        fresh = np.concatenate([_draw(p, rng) for p in new])
        old = points
        points = np.concatenate([points, fresh])
        values = np.concatenate([values, target(fresh)])
        proposals += new
        # Old proposals see only the fresh points anew; new ones see all.
        above = np.concatenate([mixture, _density(proposals[: len(mixture)], fresh, constant)], axis=1)
        below = _density(new, points, constant)
        mixture = np.concatenate([above, below]) if len(old) else below
        ln_weight = values - _mixed(mixture, proposals)
        top = float(ln_weight.max())
        weights = np.exp(ln_weight - top)
        size = float(weights.sum() ** 2 / (weights**2).sum())
        stage += 1
        if stage >= len(STAGES) and (size > ENOUGH or stage >= len(STAGES) + MOST_MORE):
            evidence = top + math.log(float(weights.mean()))
            return Sample(points, weights / weights.sum(), evidence, size)


def _stage(
    stage: int,
    modes: Sequence[tuple[np.ndarray, np.ndarray]],
    points: np.ndarray,
    values: np.ndarray,
    mixture: np.ndarray,
    proposals: Sequence[_Proposal],
    q: int,
) -> list[_Proposal]:
    """The proposals of a stage: the modes first, then a fit to all points, then wider and narrower ones too."""
    if stage == 0:
        return [_proposal(place, spread, 1.3, STAGES[0] // len(modes)) for place, spread in modes]
    ln_weight = values - _mixed(mixture, proposals)
    ln_weight -= ln_weight.max()
    power = 1.0
    while True:
        # Tempered until enough points carry the fit, or a single lucky one would decide it.
        w = np.exp(power * ln_weight)
        w /= w.sum()
        if power < 0.05 or 1 / float((w**2).sum()) > 3 * q:
            break
        power *= 0.7
    mean = w @ points
    spread = ((points - mean).T * w) @ (points - mean) * (1 + 1 / (3 * q)) + 1e-10 * np.eye(q)
    if stage < len(STAGES):
        return [_proposal(mean, spread, 1.15 if stage < len(STAGES) - 1 else 1.05, STAGES[stage])]
    best = points[int(np.argmax(values))]
    return [
        _proposal(mean, spread, 1.05, MORE // 2),
        _proposal(mean, spread, 1.7, MORE // 4),
        _proposal(best, spread, 0.5, MORE // 4),
    ]


def _proposal(mean: np.ndarray, spread: np.ndarray, scale: float, count: int) -> _Proposal:
    values, vectors = np.linalg.eigh(spread)
    # Eigenvectors are unique up to sign; fix it, so that equal input gives equal draws on every machine.
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(len(mean))])
    sd = scale * np.sqrt(np.maximum(values, 1e-14))
    return _Proposal(mean, vectors * sd, (vectors / sd).T, float(np.log(sd).sum()), count)


def _draw(p: _Proposal, rng: np.random.Generator) -> np.ndarray:
    normal = rng.standard_normal((p.count, len(p.mean)))
    stretch = np.sqrt(DEGREES / rng.chisquare(DEGREES, p.count))
    return p.mean + (normal * stretch[:, None]) @ p.root.T


def _density(proposals: Sequence[_Proposal], points: np.ndarray, constant: float) -> np.ndarray:
    """Ln density of each proposal at each point, (proposals, R)."""
    out = np.empty((len(proposals), len(points)))
    for i, p in enumerate(proposals):
        t = (points - p.mean) @ p.inverse.T
        out[i] = constant - p.ln_det - 0.5 * (DEGREES + len(p.mean)) * np.log1p((t * t).sum(1) / DEGREES)
    return out


def _mixed(mixture: np.ndarray, proposals: Sequence[_Proposal]) -> np.ndarray:
    """Ln density of the mixture of proposals, each by its number of points, (R,)."""
    share = np.array([p.count for p in proposals], float)
    weighted = mixture + np.log(share / share.sum())[:, None]
    top = weighted.max(0)
    return top + np.log(np.exp(weighted - top).sum(0))
