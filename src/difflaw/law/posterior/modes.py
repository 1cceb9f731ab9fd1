"""Where the posterior of a surface has its modes, and how wide it is there: where sampling starts.

From several starts (variable projection on a grid of exponents, and the prior itself) Gauss-Newton finds the surface
for given weights of the runs; weights, noise and its growth follow from the residuals in turn. A few Newton steps on
the density itself, with a Hessian by differences, end it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from difflaw.law.posterior.coordinates import to_coordinates, to_natural
from difflaw.law.posterior.likelihood import Rows, log_likelihood, robust_weight
from difflaw.law.posterior.model import COUNT, PENALTY, ln_loss
from difflaw.law.posterior.prior import GROWTH, NOISE, Prior
from difflaw.law.surface.forms import make_form
from difflaw.law.surface.starts import grid_starts

STEP = 1e-5
LONGEST = 2.0
FEW, ROUGH = 64, 0.005
"""Rows on which starts are compared, and the noise supposed meanwhile."""
FAR = 12.0
"""Modes whose ln density lies further below the best one's are left out."""
MOST_MODES = 3
FLATTEST = 2e-3


@dataclass(frozen=True)
class Mode:
    """A mode: the sampled coordinates, ln noise and ln growth last, shape (q,), covariance, ln density."""

    place: np.ndarray
    spread: np.ndarray
    density: float


class Problem:
    """Rows and a prior together: from sampled coordinates to natural parameters, residuals and density."""

    def __init__(self, rows: Rows, prior: Prior) -> None:
        self.rows, self.prior = rows, prior
        self.free = np.flatnonzero(prior.free)

    def coordinates(self, places: np.ndarray) -> np.ndarray:
        """All coordinates (R, 13) of those that are sampled, (R, q) or without ln noise and ln growth."""
        full = np.zeros((len(places), COUNT))
        full[:, PENALTY] = -np.inf  # no overfitting
        full[:, self.free] = places[:, : len(self.free)]
        return full

    def natural(self, places: np.ndarray) -> np.ndarray:
        """Natural parameters (R, 13) of sampled coordinates, with or without ln noise and ln growth."""
        return to_natural(self.coordinates(places))

    def density(self, places: np.ndarray) -> np.ndarray:
        """Ln of prior times likelihood, shape (R,)."""
        full = self.coordinates(places)
        theta = to_natural(full)
        noise, growth = places[:, -2], places[:, -1]
        out = self.prior.log_density(full, theta)
        out -= 0.5 * (((noise - NOISE[0]) / NOISE[1]) ** 2 + ((growth - GROWTH[0]) / GROWTH[1]) ** 2)
        out += log_likelihood(ln_loss(theta, self.rows.at) - self.rows.y, noise, growth, self.rows)
        return np.where(np.isfinite(out), out, -1e300)


def find_modes(problem: Problem, near: Sequence[Mode] = ()) -> list[Mode]:
    """The modes of a posterior, the highest first.

    Args:
        problem: rows and prior.
        near: modes of nearly the same posterior, to start from; default a grid of exponents and the prior.
    """
    count = len(problem.free)
    known = np.array([m.place[:count] for m in near])
    starts = known if near else _distinct(problem, *_rough(problem, _grid(problem)))
    place, noise, growth, precision = _settled(problem, starts)
    found, cost, curvature = _gauss_newton(problem, np.concatenate([place[None], starts]), precision, 20)
    out: list[Mode] = []
    for i in np.argsort(cost, kind="stable"):
        if cost[i] - cost.min() > 2 * FAR or len(out) == MOST_MODES:
            break
        spread = np.zeros((count + 2, count + 2))
        spread[:count, :count] = np.linalg.pinv(curvature[i], hermitian=True)
        rows = max(float(problem.rows.weight.sum()), 2.0)
        spread[count, count], spread[count + 1, count + 1] = 0.5 / rows, 0.5
        start = np.concatenate([found[i], [noise, max(math.log(max(growth, 1e-9)), GROWTH[0] - 1)]])
        if all(_apart(start, m, spread) for m in out):
            out.append(_newton(problem.density, start, spread))
    best = max(m.density for m in out)
    return sorted((m for m in out if m.density > best - FAR), key=lambda m: -m.density)


def _rough(problem: Problem, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(places, cost) from every start on a few of the rows, evenly spaced in their order."""
    few = np.linspace(0, len(problem.rows) - 1, min(len(problem.rows), FEW)).round().astype(int)
    some = Problem(problem.rows.at_rows(few), problem.prior)
    place, cost, _ = _gauss_newton(some, starts, some.rows.weight / ROUGH**2, 30)
    return place, cost


def _distinct(problem: Problem, places: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """The best places that differ, at most `MOST_MODES`."""
    kept: list[np.ndarray] = []
    unit = problem.prior.sd[problem.free]
    for i in np.argsort(cost, kind="stable"):
        if len(kept) < MOST_MODES and all((np.abs(places[i] - k) > 0.2 * unit).any() for k in kept):
            kept.append(places[i])
    return np.array(kept)


def _apart(place: np.ndarray, mode: Mode, spread: np.ndarray) -> bool:
    """Whether a place is another mode's: more than three standard deviations off in some coordinate."""
    sd = np.sqrt(np.maximum(np.maximum(np.diag(spread), np.diag(mode.spread)), 1e-12))
    return bool((np.abs(place - mode.place) > 3 * sd)[:-2].any())


def _grid(problem: Problem) -> np.ndarray:
    """Coordinates (S, q - 2) to start from: the prior's centre, and the best cells of a grid of exponents."""
    prior, at = problem.prior, problem.rows.at
    centre = prior.mean.copy()
    share = 1 / (1 + np.exp(-centre[3])), 1 / (1 + np.exp(-centre[4]))
    centre[1] += math.log((1 - share[0]) * share[1])
    centre[2] += math.log(share[0])
    centre[~prior.free] = 0.0
    found = [centre]
    for a, b, e, alpha, beta in grid_starts(make_form("free"), at.x, at.z, problem.rows.y, 4):
        theta = centre.copy()
        exponents = np.log(np.clip([alpha, beta], 0.05, 1.5))
        theta[:5] = a, b, max(e, a - 4.0, b - 4.0), *exponents
        found.append(to_coordinates(theta[None])[0])
    out = np.array(found)[:, problem.free]
    return out[np.isfinite(out).all(1)]


def _prior_residual(problem: Problem, places: np.ndarray) -> np.ndarray:
    """What the prior asks for as residuals, (R, q - 2) and more where there is a floor or other families."""
    prior = problem.prior
    full = problem.coordinates(places)
    theta = to_natural(full)
    out = prior.standardised(full, theta)
    if prior.floor > -math.inf:
        out = np.concatenate([out, prior.below_floor(theta)[:, None]], axis=1)
    if prior.shared is not None:
        root = np.linalg.cholesky(prior.shared[1] + 1e-12 * np.eye(3))
        out = np.concatenate([out, (theta[:, [3, 4, 2]] - prior.shared[0]) @ root], axis=1)
    return out


def _gauss_newton(
    problem: Problem, start: np.ndarray, precision: np.ndarray, rounds: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levenberg-Marquardt on weighted squares and the prior's: (places (S, k), cost (S,), curvature (S, k, k))."""
    rows = problem.rows
    k, root = start.shape[1], np.sqrt(precision)

    def residual(p: np.ndarray) -> np.ndarray:
        model = ln_loss(problem.natural(p), rows.at)
        return np.concatenate([np.clip(model - rows.y, -50, 50) * root, _prior_residual(problem, p)], axis=1)

    def slopes(p: np.ndarray) -> np.ndarray:
        moved = residual((p[:, None, :] + STEP * np.eye(k)).reshape(-1, k)).reshape(len(p), k, -1)
        return (moved - r[:, None, :]) / STEP

    place, damping = start.copy(), np.full(len(start), 1e-3)
    r = residual(place)
    cost = (r * r).sum(1)
    jac = slopes(place)
    for _ in range(rounds):
        curve = jac @ jac.transpose(0, 2, 1)
        gradient = (jac @ r[:, :, None])[:, :, 0]
        scale = np.einsum("rii->ri", curve) + 1e-12
        step = np.linalg.solve(curve + (damping[:, None] * scale)[:, :, None] * np.eye(k), gradient[:, :, None])
        trial = place - np.clip(step[:, :, 0], -LONGEST, LONGEST)
        new = residual(trial)
        value = (new * new).sum(1)
        better = value <= cost
        gain = float(np.where(better, cost - value, 0.0).max())
        place = np.where(better[:, None], trial, place)
        r, cost = np.where(better[:, None], new, r), np.where(better, value, cost)
        damping = np.where(better, np.maximum(damping / 8, 1e-9), damping * 8)
        if (better.all() and gain < 1e-3) or (damping > 1e8).all():
            break
        jac = slopes(place)
    return place, cost, jac @ jac.transpose(0, 2, 1)


def _settled(problem: Problem, starts: np.ndarray) -> tuple[np.ndarray, float, float, np.ndarray]:
    """(place, ln noise, growth, precision of each row) where surface, weights and noise agree with each other."""
    rows = problem.rows
    n, k = len(rows), starts.shape[1]
    few, _, _ = _gauss_newton(problem, starts, rows.weight / ROUGH**2, 12)
    residuals = ln_loss(problem.natural(few), rows.at) - rows.y
    spread = np.median(np.abs(residuals), axis=1)
    best = int(np.argmin(spread))
    place, residual = few[[best]], residuals[best]
    noise, growth = math.log(max(1.7 * float(spread[best]), 1e-7)), 0.0
    spent = n / max(n - 0.7 * k, 0.4 * n)  # the squares that fitting took out of the residuals
    for _ in range(20):
        weight = robust_weight(residual, noise, growth, rows)
        place, _, _ = _gauss_newton(problem, place, weight * np.exp(-2 * (noise + growth * rows.height)), 4)
        model = ln_loss(problem.natural(place), rows.at)
        residual = model[0] - rows.y
        before = (noise, growth)
        noise, growth = _noise(weight * residual**2 * spent, rows, noise, growth)
        if abs(noise - before[0]) + abs(growth - before[1]) < 1e-2:
            break
    weight = robust_weight(residual, noise, growth, rows)
    return place[0], noise, growth, weight * np.exp(-2 * (noise + growth * rows.height))


def _noise(squares: np.ndarray, rows: Rows, noise: float, growth: float) -> tuple[float, float]:
    """Newton steps for ln noise and its growth, given the weighted squares of the residuals."""
    h, w = rows.height, rows.weight
    for _ in range(6):
        e = squares * np.exp(-2 * (noise + growth * h))
        gradient = np.array([(w - e).sum(), ((w - e) * h).sum() + growth / 4])
        curve = 2 * np.array([[e.sum(), (e * h).sum()], [(e * h).sum(), (e * h * h).sum()]])
        step = np.clip(np.linalg.solve(curve + np.diag([1e-3, 0.25]), gradient), -1, 1)
        noise, growth = noise - float(step[0]), max(growth - float(step[1]), 0.0)
    return max(noise, -18.0), min(growth, 15.0)


def _newton(density: Callable[[np.ndarray], np.ndarray], start: np.ndarray, spread: np.ndarray) -> Mode:
    """A few Newton steps with a Hessian by differences, every one of them a batch of evaluations."""
    q = len(start)
    scale = 0.15 * np.sqrt(np.maximum(np.diag(spread), 1e-10))
    pairs = [(i, j) for i in range(q) for j in range(i)]
    corner = np.zeros((len(pairs), q))
    for row, (i, j) in enumerate(pairs):
        corner[row, i], corner[row, j] = scale[i], scale[j]
    side = np.diag(scale)
    place, covariance, best = start, spread, -math.inf
    for _ in range(4):
        value = density(place + np.concatenate([np.zeros((1, q)), side, -side, corner, -corner]))
        here, up, down = value[0], value[1 : q + 1], value[q + 1 : 2 * q + 1]
        plus, minus = value[2 * q + 1 : 2 * q + 1 + len(pairs)], value[2 * q + 1 + len(pairs) :]
        curve = np.diag(2 * here - up - down)
        for row, (i, j) in enumerate(pairs):
            curve[i, j] = curve[j, i] = (up[i] + down[i] + up[j] + down[j] - 2 * here - plus[row] - minus[row]) / 2
        values, vectors = np.linalg.eigh(np.clip(curve, -1e12, 1e12))
        values = np.maximum(np.abs(values), FLATTEST)
        step = vectors @ ((vectors.T @ ((up - down) / 2)) / values)
        covariance = ((vectors / values) @ vectors.T) * np.outer(scale, scale)
        tried = place + np.array([1.0, 0.5, 0.25, 0.1, 0.03, 0.0])[:, None] * step * scale
        reached = density(tried)
        pick = int(np.argmax(reached))
        place, best = tried[pick], float(reached[pick])
        if best - here < 0.05:
            break
    return Mode(place, covariance, best)
