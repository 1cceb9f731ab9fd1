"""The first paper's own procedure (2512.10858, its notebooks), step by step, to compare with ours; not our default.

Batch: at each target loss a parabola of ln tokens in ln B, B* at its vertex, a line of ln B* in ln D*. Rate: at each
(size, batch, tokens) a parabola of ln loss in ln eta; a line of ln eta* in ln B at fixed D, read at B*(D). Frontier:
the best run a size and budget, parabolas of ln loss in each of ln N, ln D and ln M, lines through the vertices,
intervals from resampling the vertices. Known to be too sure: that interval covers 74 to 89 % at a nominal 95 %
(vertices' own errors and shared runs are not in it), no vertex is tested for convexity or the edge, the best of noisy
runs is low.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.errors import InputError
from difflaw.law.power import fit_power
from difflaw.law.results import Interval, PowerLaw

PRINTED = 2.58
"""The notebooks print 2.58 standard errors of the regression, "99 %"."""


@dataclass(frozen=True)
class PaperLaw:
    """A line in logarithms as the notebooks fit it, with their interval, and the points it was drawn through."""

    law: PowerLaw
    interval: Interval
    points: tuple[tuple[float, float], ...]
    left_out: int
    """Parabolas that were not convex or had their vertex outside the data."""


def batch_law(frame: Any, target_losses: Sequence[float]) -> PaperLaw:
    """B*(D) by the iso-loss method.

    Args:
        frame: rows along runs: params, run, batch_tokens, tokens, loss.
        target_losses: at which runs are compared.

    Raises:
        InputError: fewer than three usable vertices.
    """
    points, lost = [], 0
    for target in target_losses:
        for _, size in frame.groupby("params"):
            fewest: dict[float, float] = {}
            for (batch, _), run in size.groupby(["batch_tokens", "run"]):
                tokens = _tokens_at(run, target)
                if tokens is not None:
                    fewest[float(batch)] = min(tokens, fewest.get(float(batch), np.inf))
            if len(fewest) >= 3:
                vertex = _vertex(np.log(list(fewest)), np.log(list(fewest.values())))
                if vertex is None:
                    lost += 1
                else:
                    points.append((float(np.exp(vertex[1])), float(np.exp(vertex[0]))))
    return _line(points, "batch_tokens", "tokens", lost)


def rate_law(frame: Any, tokens: Sequence[float], best_batch: PowerLaw) -> PaperLaw:
    """eta*(B) at B*(D).

    Args:
        frame: rows along runs: params, run, batch_tokens, lr, tokens, loss.
        tokens: horizons D at which rates are compared.
        best_batch: B*(D), as `batch_law` finds it.

    Raises:
        InputError: fewer than three usable points.
    """
    points, lost = [], 0
    for horizon in tokens:
        for _, size in frame.groupby("params"):
            found = []
            for batch, same in size.groupby("batch_tokens"):
                losses = {float(r["lr"].iloc[0]): _loss_at(r, horizon) for _, r in same.groupby("run")}
                known = {rate: loss for rate, loss in losses.items() if loss is not None}
                if len(known) >= 3:
                    vertex = _vertex(np.log(list(known)), np.log(np.array(list(known.values()), float)))
                    if vertex is None:
                        lost += 1
                    else:
                        found.append((float(np.log(float(batch))), vertex[0]))
            if len(found) < 2:
                continue
            x, y = np.array(found).T
            target = float(np.log(best_batch(horizon)))
            if x.min() <= target <= x.max():
                slope, intercept = np.polyfit(x, y, 1)
                points.append((float(np.exp(target)), float(np.exp(intercept + slope * target))))
    return _line(points, "lr", "batch_tokens", lost)


def frontier(frame: Any, budgets: Sequence[float], *, resamples: int = 10_000, seed: int = 0) -> dict[str, PaperLaw]:
    """Laws of params, tokens, flops_per_token and loss in C through per-budget parabolas.

    Args:
        frame: one row a run and budget: params, tokens, flops_per_token, loss, budget.
        budgets: FLOPs.
        resamples: of the vertices.
        seed: of the resampling.

    Raises:
        InputError: fewer than three budgets with three sizes.
    """
    vertices: dict[str, list[tuple[float, float]]] = {k: [] for k in ("params", "tokens", "flops_per_token", "loss")}
    for budget in sorted(budgets):
        rows = frame[np.isclose(frame["budget"], budget)]
        best = rows.sort_values("loss").groupby("params").head(1)
        if len(best) < 3:
            continue
        y = np.log(best["loss"].to_numpy(float))
        for name in ("params", "tokens", "flops_per_token"):
            c2, c1, c0 = np.polyfit(x := np.log(best[name].to_numpy(float)), y, 2)
            del x
            at = -c1 / (2 * c2)  # neither convexity nor the edge is tested, as in the notebooks
            vertices[name].append((float(budget), float(np.exp(at))))
            if name == "tokens":
                vertices["loss"].append((float(budget), float(np.exp(c0 + c1 * at / 2))))
    if len(vertices["params"]) < 3:
        raise InputError("the first paper's frontier needs three budgets with three sizes each")
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(vertices["params"]), (resamples, len(vertices["params"])))
    return {name: _bootstrapped(points, name, draws) for name, points in vertices.items()}


def _bootstrapped(points: list[tuple[float, float]], name: str, draws: np.ndarray) -> PaperLaw:
    law = fit_power([p[0] for p in points], [p[1] for p in points], y_name=name, x_name="flops")
    assert law is not None
    x, y = np.log(np.array(points)).T
    sampled_x, sampled_y = x[draws], y[draws]
    dx = sampled_x - sampled_x.mean(1, keepdims=True)
    spread = (dx**2).sum(1)
    kept = spread > 1e-12
    slopes = ((dx * sampled_y).sum(1)[kept]) / spread[kept]
    low, high = np.quantile(slopes, [0.025, 0.975])
    kind = "95 % percentiles over resampled per-budget optima, the first paper's; covers 74 to 89 % in our tests"
    return PaperLaw(law, Interval(float(low), float(high), 0.95, kind), tuple(points), 0)


def _line(points: list[tuple[float, float]], y_name: str, x_name: str, lost: int) -> PaperLaw:
    if len(points) < 3:
        raise InputError(
            f"the first paper's {y_name} law has {len(points)} vertices ({lost} parabolas were not convex or had "
            "theirs outside the data); it needs three: widen the sweep"
        )
    law = fit_power([p[0] for p in points], [p[1] for p in points], y_name=y_name, x_name=x_name)
    if law is None:
        raise InputError(f"the first paper's {y_name} law: all vertices share one {x_name}; widen the sweep")
    x, y = np.log(np.array(points)).T
    left = y - np.polyval(np.polyfit(x, y, 1), x)
    se = float(np.sqrt(left @ left / max(len(x) - 2, 1) / ((x - x.mean()) ** 2).sum()))
    kind = "99 % as the notebooks print it: 2.58 regression standard errors, points taken as independent"
    interval = Interval(law.exponent - PRINTED * se, law.exponent + PRINTED * se, 0.99, kind)
    return PaperLaw(law, interval, tuple(points), lost)


def _vertex(x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Lowest point of a parabola, where it is convex and inside the data."""
    centre = float(x.mean())
    c2, c1, c0 = np.polyfit(x - centre, y, 2)
    if c2 <= 0:
        return None
    at = -c1 / (2 * c2)
    inside = x.min() <= at + centre <= x.max()
    return (float(at + centre), float(c0 + c1 * at / 2)) if inside else None


def _tokens_at(run: Any, target: float) -> float | None:
    """Tokens at which a run first reaches a loss, along straight lines in logarithms."""
    ordered = run.sort_values("tokens")
    t, loss = np.log(ordered["tokens"].to_numpy(float)), np.log(ordered["loss"].to_numpy(float))
    below = np.flatnonzero(loss <= np.log(target))
    if not len(below) or below[0] == 0:
        return None
    i = int(below[0])
    share = (loss[i - 1] - np.log(target)) / (loss[i - 1] - loss[i])
    return float(np.exp(t[i - 1] + share * (t[i] - t[i - 1])))


def _loss_at(run: Any, tokens: float) -> float | None:
    """Loss of a run at a number of tokens, along straight lines in logarithms."""
    ordered = run.sort_values("tokens")
    t, loss = np.log(ordered["tokens"].to_numpy(float)), np.log(ordered["loss"].to_numpy(float))
    target = float(np.log(tokens))
    return float(np.exp(np.interp(target, t, loss))) if t[0] - 1e-9 <= target <= t[-1] + 1e-9 else None
