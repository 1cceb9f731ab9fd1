"""Which runs to add to a ladder: first the rungs that are missing, then those that make a target's forecast surest.

Candidates lie near the best size of their own FLOPs, where forms are least in doubt, on the ladder's sizes and just
past them. What they are worth is read from the draws of every family's law (`choosing.choose`), so that separate basins
of a fit, both forms and all families count; the budget is one for all families. A share of it goes to one run at the
optimum that is larger than any so far, which is what shows a law that drifts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from difflaw.errors import InputError
from difflaw.law.posterior.posterior import Posterior
from difflaw.law.results import Profile
from difflaw.planning.choosing import Choice, choose

NEAR = 4.5
"""Factor around N* within which candidates lie."""
DRIFT_SHARE = 0.25
"""Share of the budget for one large run at the optimum, where that is larger than any so far."""
MISSING_SHARE = 0.5
"""Share of the budget for rungs that are missing."""
MOST, TWICE, SMALLEST_SHARE = 16, 2, 1 / 64
"""Runs in all, runs of one cell, and the smallest share of the budget that a run is worth the trouble for."""
RUNG = 1.6
"""Step from the last size to the one that is missing."""
AROUND = (0.5, 1.0, 2.0)
"""A target's loss is to be known at its best size times these: its level, and where its lowest point lies."""
UNUSUAL = 1.5
"""How sure of its optimum, as a factor in N, a law must be for a run "at the optimum" to mean something."""


@dataclass(frozen=True)
class NextRun:
    """A run to add: its size (in the table's count), tokens, FLOPs, how often, and why."""

    params: float
    tokens: float
    flops: float
    times: int
    why: str


@dataclass(frozen=True)
class NextRuns:
    """What to run for one family, and the standard errors of ln L* and ln N* at the target before and after."""

    runs: tuple[NextRun, ...]
    flops: float
    target: float
    loss_se: tuple[float, float]
    size_se: tuple[float, float]
    at_optimum_se: float
    """Of ln L*, had this family's share gone into one run at the optimum."""
    noise: float


@dataclass(frozen=True)
class _Cells:
    """Candidates of one family, arrays of shape (k,), and their ln loss by every draw (R, k)."""

    size: np.ndarray
    token: np.ndarray
    price: np.ndarray
    ln_loss: np.ndarray
    reason: dict[int, str]
    """Why some come first, by place."""


def next_runs(
    laws: Mapping[str, Posterior],
    budget: float,
    target: float,
    *,
    sizes: Mapping[str, np.ndarray] | None = None,
    profiles: Mapping[str, Sequence[Profile]] | None = None,
    near: float = NEAR,
    seed: int = 0,
) -> dict[str, NextRuns]:
    """Runs worth ``budget`` FLOPs over all families; a family that no run would help is left out.

    Args:
        laws: averaged law of each family.
        budget: FLOPs to spend, in the table's count.
        target: FLOPs of the run to be forecast.
        sizes: candidate sizes of each family; default a grid over those run and one doubling more.
        profiles: of each family, whose edges say which rungs are missing.
        near: factor around N* within which candidates lie.
        seed: of the draws' order.

    Raises:
        InputError: a budget below the smallest useful run.
    """
    cells = {
        name: _candidates(post, budget, near, (sizes or {}).get(name), (profiles or {}).get(name, ()))
        for name, post in laws.items()
    }
    if not any(len(c.size) for c in cells.values()):
        cheapest = min(float(_cheapest(post)) for post in laws.values())
        raise InputError(f"--flops {budget:g}: less than the smallest useful run, about {cheapest:.2g} FLOPs")
    rng = np.random.default_rng(seed)
    count = min(len(post.theta) for post in laws.values())
    order = {name: rng.permutation(len(post.theta))[:count] for name, post in laws.items()}
    candidates = np.concatenate([cells[n].ln_loss[order[n]] for n in laws], axis=1)
    goals = {name: _goals(post, target) for name, post in laws.items()}
    targets = np.concatenate([goals[n][0][order[n]] for n in laws], axis=1)
    watched = np.concatenate([goals[n][1][order[n]] for n in laws], axis=1)
    start = np.cumsum([0, *(len(c.size) for c in cells.values())])
    price = np.concatenate([c.price for c in cells.values()])
    noise = np.concatenate([np.full(len(cells[n].size), float(np.median(p.noise()))) for n, p in laws.items()])
    forced = tuple(int(s) + i for s, c in zip(start, cells.values(), strict=False) for i in c.reason)
    found, after = choose(
        candidates, targets, noise, price, budget, again=TWICE, most=MOST, forced=forced, watch=watched, seed=seed
    )
    out = {}
    for i, (name, post) in enumerate(laws.items()):
        own = [c for c in found if start[i] <= c.index < start[i + 1]]
        if own:
            spread = (watched[:, 2 * i : 2 * i + 2].std(0), after[:, 2 * i : 2 * i + 2].std(0))
            out[name] = _result(post, cells[name], own, int(start[i]), target, spread)
    return out


def _cheapest(post: Posterior) -> float:
    return math.exp(float(post.flops_per_token(np.log([post.params_range[0]]))[0])) * post.tokens_range[0]


def _candidates(
    post: Posterior, budget: float, near: float, sizes: np.ndarray | None, profiles: Sequence[Profile]
) -> _Cells:
    """Missing rungs first, then cells near the optimum, past the first steps of training, that fit the budget."""
    low, high = post.params_range
    grid = np.geomspace(low, 2 * high, 25) if sizes is None else np.sort(np.asarray(sizes, float))
    per_token = np.exp(post.flops_per_token(np.log(grid)))
    least = post.tokens_range[0]
    tokens = np.geomspace(least, max(float((budget / per_token).max()), 1.01 * least), 33)
    size, token = (v.ravel() for v in np.meshgrid(grid, tokens))
    price = np.repeat(per_token[None, :], len(tokens), 0).ravel() * token
    floor = min(SMALLEST_SHARE * budget, float(price[price <= budget].max(initial=0.0)) / 2)
    kept = (price <= budget) & (price >= floor)
    size, token, price = size[kept], token[kept], price[kept]
    best = _best_sizes(post, price)
    kept = np.abs(np.log(size) - best) <= math.log(near)
    size, token, price, best = size[kept], token[kept], price[kept], best[kept]
    missing = _missing(post, profiles, MISSING_SHARE * budget)
    reason = {i: why for i, (_, _, _, why) in enumerate(missing)}
    at = [np.array([m[k] for m in missing]) for k in range(3)]
    size, token, price = (np.concatenate([a, b]) for a, b in zip(at, (size, token, price), strict=True))
    best = np.concatenate([np.zeros(len(missing)), best])
    drift = _largest_at_optimum(post, size, price, best, DRIFT_SHARE * budget, len(missing))
    if drift is not None:
        reason[drift] = "the largest run at the optimum: shows a law that drifts"
    return _Cells(
        size, token, price, post.ln_loss(size, token) if len(size) else np.empty((len(post.theta), 0)), reason
    )


def _best_sizes(post: Posterior, price: np.ndarray) -> np.ndarray:
    """Median ln N* at each price, interpolated over a dozen budgets."""
    if not len(price):
        return np.empty(0)
    ln_c = np.linspace(math.log(price.min()), math.log(price.max()) + 1e-9, 12)
    known = np.array([float(np.median(post.best(math.exp(c)).ln_params)) for c in ln_c])
    return np.interp(np.log(price), ln_c, known)


def _missing(post: Posterior, profiles: Sequence[Profile], budget: float) -> list[tuple[float, float, float, str]]:
    """(size, tokens, price, why) of the rungs beyond an edge minimum, the largest budget that can be paid first."""
    out: list[tuple[float, float, float, str]] = []
    for p in sorted(profiles, key=lambda p: -p.flops):
        if not p.status.startswith("edge") or p.flops > budget - sum(m[2] for m in out):
            continue
        low = p.status == "edge-low"
        size = p.params[0] / RUNG if low else p.params[-1] * RUNG
        per_token = math.exp(float(post.flops_per_token(np.array([math.log(size)]))[0]))
        side = "smaller" if low else "larger"
        why = f"missing: at {p.flops:.2g} FLOPs the best size is no {'larger' if low else 'smaller'} than the "
        why += f"{'smallest' if low else 'largest'} run, so a {side} one"
        out.append((size, p.flops / per_token, p.flops, why))
    return out


def _largest_at_optimum(
    post: Posterior, size: np.ndarray, price: np.ndarray, best: np.ndarray, most: float, skip: int
) -> int | None:
    """The largest cell within 15 % of the optimum for at most ``most`` FLOPs; None where none exceeds the runs so far,
    or where the law does not know its optimum.
    """
    if not len(price) or float(np.std(post.best(post.budgets[1]).ln_params)) > math.log(UNUSUAL):
        return None
    off = np.abs(np.log(size) - best)
    large = np.flatnonzero((price <= most) & (price > post.budgets[1]) & (off < 0.15))
    large = large[large >= skip]
    return int(large[np.argmax(price[large])]) if len(large) else None


def _goals(post: Posterior, target: float) -> tuple[np.ndarray, np.ndarray]:
    """(ln loss about the best size at the target (R, 3), ln L* and ln N* there (R, 2))."""
    best = post.best(target)
    size = math.exp(float(np.median(best.ln_params)))
    at = size * np.array(AROUND)
    tokens = target / np.exp(post.flops_per_token(np.log(at)))
    return post.ln_loss(at, tokens), np.stack([best.ln_loss, best.ln_params], 1)


def _result(
    post: Posterior,
    cells: _Cells,
    own: Sequence[Choice],
    start: int,
    target: float,
    spread: tuple[np.ndarray, np.ndarray],
) -> NextRuns:
    times: dict[int, int] = {}
    for c in own:
        times[c.index - start] = times.get(c.index - start, 0) + 1
    usual = "shrinks the forecast's variance most for its cost"
    runs = tuple(
        NextRun(
            float(cells.size[i]), float(cells.token[i]), float(cells.price[i]), times[i], cells.reason.get(i, usual)
        )
        for i in sorted(times, key=lambda i: (i not in cells.reason, cells.price[i], cells.size[i]))
    )
    spent = sum(run.flops * run.times for run in runs)
    before, after = spread
    return NextRuns(
        runs=runs,
        flops=spent,
        target=target,
        loss_se=(float(before[0]), float(after[0])),
        size_se=(float(before[1]), float(after[1])),
        at_optimum_se=_one_run(post, spent, target),
        noise=float(np.median(post.noise())),
    )


def _one_run(post: Posterior, flops: float, target: float) -> float:
    """Standard error of ln L* after one run at the optimum for so many FLOPs."""
    size = np.exp(_best_sizes(post, np.array([flops])))
    token = flops / np.exp(post.flops_per_token(np.log(size)))
    goals, watched = _goals(post, target)
    noise = np.array([float(np.median(post.noise()))])
    _, after = choose(post.ln_loss(size, token), goals, noise, np.array([flops]), flops, forced=(0,), watch=watched)
    return float(after[:, 0].std())
