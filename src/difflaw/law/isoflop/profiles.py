"""IsoFLOP profiles: loss against size at one budget, a parabola in logarithms, and whether its minimum can be trusted.

ln L = c0 + c1·u + c2·u², u = ln N - centre; u* = -c1/(2·c2), Var(u*) = g'Sg with g = (0, -1/(2·c2), c1/(2·c2²)) and
S = s²(X'X)⁻¹ (approach 2 of Hoffmann et al. 2022, with the delta method and s² pooled over a family's budgets).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from difflaw.formatting import flops as in_flops
from difflaw.formatting import listed, short_count
from difflaw.law.results import Profile, Vertex, VertexStatus
from difflaw.law.table.curves import SINGLE, Curve, Point, points_at, winners_bias

WINDOW = 4.5
"""Sizes within this factor of the best size are fitted; wider parabolas are biased."""
FEWEST, MOST = 5, 7
"""Widen the window to the nearest FEWEST sizes where there are fewer, cut it to the nearest MOST."""


@dataclass(frozen=True)
class Noise:
    """Scatter of ln loss about the parabolas of a family: total variance per point and where it comes from."""

    variance: float
    dof: int
    shared: float
    """Part of the variance common to all points of one size (a mis-tuned rate, one run feeding many budgets)."""
    independent: float
    source: str
    """"residuals", "loss_se" or "none"."""


def window_of(ln_params: np.ndarray, ln_loss: np.ndarray, window: float = WINDOW) -> np.ndarray:
    """Which sizes to fit, as a mask: those within a factor of the lowest, at least 5 where there are, at most 7."""
    distance = np.abs(ln_params - ln_params[int(np.argmin(ln_loss))])
    nearest = np.argsort(distance, kind="stable")
    within = int(np.sum(distance <= math.log(window) + 1e-9))
    keep = np.zeros(len(ln_params), bool)
    keep[nearest[: min(max(within, FEWEST), MOST)]] = True
    return keep


def design(profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """(X, y) of a profile's parabola: X of shape (used sizes, 3), y = ln loss of the used sizes."""
    used = np.array(profile.used, bool)
    u = np.log(np.array(profile.params))[used] - profile.centre
    return np.stack([np.ones_like(u), u, u * u], 1), np.log(np.array(profile.loss))[used]


def fit_profiles(
    family: str, curves: Sequence[Curve], budgets: Sequence[float], window: float = WINDOW
) -> tuple[tuple[Profile, ...], Noise, tuple[str, ...]]:
    """Profiles of one family at each budget that any of its runs reaches.

    Args:
        family: name for the records.
        curves: the family's runs.
        budgets: total training FLOPs.
        window: factor around the best size that the parabola uses.

    Returns:
        The profiles in order of budget, the scatter about them, and warnings in words.
    """
    ends = np.array([[c.ln_flops[0], c.ln_flops[-1]] for c in curves]).reshape(-1, 2)
    slices = []
    for budget in sorted(budgets):
        near = (ends[:, 0] <= math.log(budget) + SINGLE) & (ends[:, 1] >= math.log(budget) - SINGLE)
        slices.append((float(budget), points_at([curves[int(i)] for i in np.flatnonzero(near)], budget)))
    drafts = [_draft(family, c, points, window) for c, points in slices if points]
    noise = _noise(drafts)
    profiles = tuple(_judge(draft, noise) for draft in drafts)
    return profiles, noise, _warnings(slices, profiles, noise)


def _draft(family: str, budget: float, points: Sequence[Point], window: float) -> Profile:
    """The points and, from three sizes up, the parabola; not yet judged."""
    ln_params = np.log([p.params for p in points])
    ln_loss = np.array([p.ln_loss for p in points])
    used, centre, coefficients = np.ones(len(points), bool), float(np.mean(ln_params)), None
    if len(points) >= 3:
        used = window_of(ln_params, ln_loss, window)
        centre = float(np.mean(ln_params[used]))
        u = ln_params[used] - centre
        solution = np.linalg.lstsq(np.stack([np.ones_like(u), u, u * u], 1), ln_loss[used], rcond=None)[0]
        coefficients = (float(solution[0]), float(solution[1]), float(solution[2]))
    return Profile(
        family=family,
        flops=budget,
        runs=tuple("+".join(p.runs) for p in points),
        params=tuple(p.params for p in points),
        tokens=tuple(budget / p.flops_per_token for p in points),
        loss=tuple(math.exp(p.ln_loss) for p in points),
        loss_se=tuple(p.loss_se for p in points),
        used=tuple(bool(x) for x in used),
        centre=centre,
        coefficients=coefficients,
        vertex=None,
        status="too-few-sizes",
    )


def _noise(profiles: Sequence[Profile]) -> Noise:
    """Pool the residuals of all parabolas and split them, by moments, into a part shared by a size and the rest.

    With P the projection off all parabolas and Z the membership of points in sizes, E[y'Py] = s_u·tr(Z'PZ) + s_e·tr(P)
    and E[|Z'Py|²] = s_u·tr((Z'PZ)²) + s_e·tr(Z'PZ): two equations for the two variances.
    """
    fitted = [p for p in profiles if p.coefficients is not None]
    dof = sum(sum(p.used) - 3 for p in fitted)
    if dof == 0:
        relative = [se / loss for p in fitted for se, loss in zip(p.loss_se, p.loss, strict=True)]
        known = [r for r in relative if math.isfinite(r) and r > 0]
        if not known:
            return Noise(math.nan, 0, math.nan, math.nan, "none")
        variance = float(np.mean(np.square(known)))
        return Noise(variance, 0, 0.0, variance, "loss_se")
    sizes = sorted({round(math.log(n), 6) for p in fitted for n, keep in zip(p.params, p.used, strict=True) if keep})
    residual, membership, off = [], [], []
    for p in fitted:
        x, y = design(p)
        projection = np.eye(len(y)) - x @ np.linalg.pinv(x)
        z = np.zeros((len(y), len(sizes)))
        used = [round(math.log(n), 6) for n, keep in zip(p.params, p.used, strict=True) if keep]
        z[np.arange(len(y)), [sizes.index(n) for n in used]] = 1
        residual.append(projection @ y)
        membership.append(z)
        off.append(projection)
    total = float(sum(r @ r for r in residual))
    variance = total / dof
    zpz = sum((z.T @ m @ z for z, m in zip(membership, off, strict=True)), np.zeros((len(sizes), len(sizes))))
    by_size = sum((z.T @ r for z, r in zip(membership, residual, strict=True)), np.zeros(len(sizes)))
    matrix = np.array([[np.trace(zpz), dof], [np.sum(zpz * zpz), np.trace(zpz)]])
    shared = 0.0
    if abs(np.linalg.det(matrix)) > 1e-9 * np.max(np.abs(matrix)) ** 2:
        shared = float(np.linalg.solve(matrix, np.array([total, float(by_size @ by_size)]))[0])
    shared = min(max(shared, 0.0), variance)
    return Noise(variance, dof, shared, variance - shared, "residuals")


def _judge(draft: Profile, noise: Noise) -> Profile:
    """Give a draft its status, its message and, where the minimum is interior, its vertex."""
    if draft.coefficients is None:
        sizes = ", ".join(map(short_count, draft.params))
        have = f"only {len(draft.params)} size{'s' * (len(draft.params) > 1)} ({sizes})"
        return _settled(draft, "too-few-sizes", f"at {in_flops(draft.flops)} there are {have}; run at least 4 sizes")
    c0, c1, c2 = draft.coefficients
    ln_params = np.log(draft.params)
    best = int(np.argmin(draft.loss))
    at = draft.centre - c1 / (2 * c2) if c2 > 0 else math.nan
    if best in (0, len(draft.params) - 1):
        return _settled(draft, "edge-low" if best == 0 else "edge-high", _edge_message(draft, best))
    if c2 <= 0:
        return _settled(draft, "not-convex", f"at {in_flops(draft.flops)} loss against size does not curve upwards")
    if not ln_params[0] < at < ln_params[-1]:
        end = 0 if at <= ln_params[0] else len(draft.params) - 1
        text = f"at {in_flops(draft.flops)} the fitted minimum lies outside the measured sizes; "
        where = f"below {short_count(draft.params[0])}" if end == 0 else f"above {short_count(draft.params[-1])}"
        return _settled(draft, "edge-low" if end == 0 else "edge-high", text + f"add a rung {where}")
    x, _ = design(draft)
    inverse = np.linalg.inv(x.T @ x)
    if noise.variance > 0 and c2 < 2 * math.sqrt(noise.variance * inverse[2, 2]):
        text = (
            f"at {in_flops(draft.flops)} the curve is too flat for its noise to place a minimum; spread the sizes wider"
        )
        return _settled(draft, "not-convex", text)
    u = at - draft.centre
    gradient = np.array([0.0, -1 / (2 * c2), c1 / (2 * c2 * c2)])
    level = np.array([1.0, u, u * u])  # at the minimum the position drops out (envelope theorem)
    relative = np.array(draft.loss_se) / np.array(draft.loss)
    # Evaluation reuses the same text and noise for every model: its error moves the level, not the minimum's place.
    evaluation = float(np.mean(np.square(relative[np.isfinite(relative)]))) if np.isfinite(relative).any() else 0.0
    ln_m = float(np.interp(at, ln_params, math.log(draft.flops) - np.log(draft.tokens)))
    vertex = Vertex(
        params=math.exp(at),
        tokens=draft.flops / math.exp(ln_m),
        flops_per_token=math.exp(ln_m),
        loss=math.exp(c0 + c1 * u + c2 * u * u),
        ln_params_se=math.sqrt(noise.variance * gradient @ inverse @ gradient),
        ln_loss_se=math.sqrt(noise.variance * level @ inverse @ level + evaluation),
    )
    return _settled(draft, "interior", "", vertex)


def _edge_message(draft: Profile, end: int) -> str:
    which, side, bound = ("smallest", "below", "at or below") if end == 0 else ("largest", "above", "at or above")
    size = short_count(draft.params[end])
    return (
        f"at {in_flops(draft.flops)} the {which} size ({size}) is the best: the optimum lies {bound} it; "
        f"add a rung {side} {size}"
    )


def _settled(draft: Profile, status: VertexStatus, message: str, vertex: Vertex | None = None) -> Profile:
    return replace(draft, status=status, message=message, vertex=vertex)


def _warnings(
    slices: Sequence[tuple[float, Sequence[Point]]], profiles: Sequence[Profile], noise: Noise
) -> tuple[str, ...]:
    found = [p.message for p in profiles if p.message]
    empty = [in_flops(c) for c, points in slices if not points]
    if empty:
        found.append(f"no run reaches {listed(empty)}")
    tuned = max((point.settings for _, points in slices for point in points), default=1)
    if tuned > 1:
        found.append(
            f"each size is the minimum over up to {tuned} tuned runs; biased low by about {winners_bias(tuned):.1f} "
            "standard deviations of one run's noise, unevenly if sizes were tuned unequally"
        )
    if max((point.gap for _, points in slices for point in points), default=0.0) > math.log(2):
        found.append("some losses are interpolated between evaluations more than a factor 2 apart in FLOPs")
    interior = sum(p.status == "interior" for p in profiles)
    edges = sum(p.status.startswith("edge") for p in profiles)
    if interior and edges:
        found.append(
            f"{edges} of {len(profiles)} budgets have their minimum at an edge and are left out; what remains is "
            "tilted towards the sizes that were run, so trust the surface fit more, or add the missing sizes"
        )
    if noise.source == "loss_se":
        found.append(
            "no parabola has more than three sizes, so errors come from the evaluation's standard error alone, which "
            "misses run-to-run noise; add a fourth size"
        )
    elif noise.source == "none" and any(p.coefficients for p in profiles):
        found.append("no parabola has more than three sizes and no loss_se is given: minima have no error; add a size")
    elif noise.source == "residuals" and noise.dof < 3:
        found.append(
            f"the intervals lean on {noise.dof} degree{'s' * (noise.dof > 1)} of freedom of scatter about the "
            "parabolas; add sizes or seeds"
        )
    return tuple(found)
