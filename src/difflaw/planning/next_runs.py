"""Which runs to add to a ladder: those that shrink a forecast's variance most for their FLOPs (V-optimal, greedy).

The variance of ln L*(C) is g'(J'J/s²)⁻¹g; a run adds its own row to J. The best additions are rarely one more run at
the optimum. Left alone the rule asks for dozens of copies of the smallest model, whose errors (a mis-tuned rate) are
not independent; so a cell comes at most twice, at most sixteen runs share the budget, none below a 64th of it.
Candidates stay within a factor of the optimum, where the form holds, and a share of the budget goes to one run at the
optimum that is larger than any so far, which is what shows a law that drifts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from difflaw.errors import InputError
from difflaw.law.results import Surface
from difflaw.law.surface.forms import evaluate, jacobian, ln_best_size, make_form

NEAR = 4.5
"""Factor around N* within which wide tables still follow the additive form."""
DRIFT_SHARE = 0.25
"""Share of the budget for one large run at the optimum, where that is larger than any so far."""
MOST, TWICE, SMALLEST_SHARE = 16, 2, 1 / 64
"""Runs in all, runs of one cell, and the smallest share of the budget that a run is worth the trouble for."""
FORM = make_form("free")


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
    """What to run, and the standard errors of ln L* and ln N* at the target before and after."""

    runs: tuple[NextRun, ...]
    flops: float
    target: float
    loss_se: tuple[float, float]
    size_se: tuple[float, float]
    at_optimum_se: float
    """Of ln L*, had the budget gone into one run at the optimum."""
    noise: float


@dataclass(frozen=True)
class _Cells:
    """Candidate runs: sizes, tokens and FLOPs of shape (k,), and derivatives of ln L by theta (k, 5)."""

    size: np.ndarray
    token: np.ndarray
    price: np.ndarray
    rows: np.ndarray


def next_runs(
    surface: Surface,
    params: Sequence[float] | np.ndarray,
    tokens: Sequence[float] | np.ndarray,
    budget: float,
    target: float,
    cost: Callable[[np.ndarray], np.ndarray],
    *,
    noise: float | None = None,
    near: float = NEAR,
    sizes: Sequence[float] | np.ndarray | None = None,
) -> NextRuns:
    """Choose runs for ``budget`` FLOPs that make the forecast of the loss at ``target`` FLOPs surest.

    Args:
        surface: fitted, with its own parameters (form "free").
        params: sizes of the runs so far, one row a run, shape (n,).
        tokens: their tokens, shape (n,).
        budget: FLOPs to spend.
        target: FLOPs of the run to be forecast.
        cost: FLOPs per token of sizes, vectorised.
        noise: standard deviation of ln loss of a run; default the surface's.
        near: factor around N* within which candidates lie.
        sizes: candidate sizes; default a grid over those run and one doubling more.

    Raises:
        InputError: a surface without its parameters, or a budget below the smallest useful run.
    """
    if surface.form != "free" or len(surface.theta) != 5:
        raise InputError(f"next runs need the surface E + A/N^alpha + B/D^beta, found form '{surface.form}'")
    theta = np.array([surface.theta])
    n, d = np.asarray(params, float), np.asarray(tokens, float)
    sd = noise if noise is not None else surface.run_sd if math.isfinite(surface.run_sd) else surface.rmse_log
    sd = max(sd, 1e-6)
    # What is known: the runs so far, each with its noise; a hair of ridge keeps poor designs solvable.
    rows = _rows(theta, surface.centre, n, d)
    information = rows.T @ rows / sd**2
    information += 1e-9 * np.diag(np.diag(information))
    g_loss, g_size = _gradients(theta, surface, target, cost)
    grid = np.geomspace(n.min(), 2 * n.max(), 41) if sizes is None else np.sort(np.asarray(sizes, float))
    before = np.linalg.inv(information)
    if not (unsure := _se(before, g_size)) < math.log(near):
        raise InputError(
            f"the surface does not know its optimum within a factor {near:g} (error of ln N* is {unsure:.2g}), "
            "so no run can be placed near it; remove runs on the plateau, or vary tokens at fixed size around the best"
        )
    cells = _candidates(theta, surface, grid, d, budget, cost, near)
    chosen: dict[int, int] = {}
    drift = _largest_at_optimum(cells, theta, surface, grid, cost, DRIFT_SHARE * budget, float((cost(n) * d).max()))
    if drift is not None:
        chosen[drift] = 1
    information = _greedy(cells, chosen, information, g_loss, budget, sd)
    after = np.linalg.inv(information)
    one = _one_run(theta, surface, before, budget, grid, cost, sd)
    reasons = {drift: "the largest run at the optimum: shows a law that drifts"}
    usual = "shrinks the forecast's variance most per FLOP"
    order = sorted(chosen, key=lambda i: (cells.price[i], cells.size[i]))
    runs = [
        NextRun(float(cells.size[i]), float(cells.token[i]), float(cells.price[i]), chosen[i], reasons.get(i, usual))
        for i in order
    ]
    return NextRuns(
        runs=tuple(runs),
        flops=sum(run.flops * run.times for run in runs),
        target=target,
        loss_se=(_se(before, g_loss), _se(after, g_loss)),
        size_se=(_se(before, g_size), _se(after, g_size)),
        at_optimum_se=_se(one, g_loss),
        noise=sd,
    )


def _rows(theta: np.ndarray, centre: tuple[float, float], n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Derivatives of ln L by theta, one row a run: (n, 5)."""
    x, z = np.log(n) - centre[0], np.log(d) - centre[1]
    _, parts = evaluate(FORM, theta, x, z)
    return jacobian(FORM, theta, x, z, parts)[0].T


def _ln_loss(theta: np.ndarray, centre: tuple[float, float], n: np.ndarray, d: np.ndarray) -> np.ndarray:
    return evaluate(FORM, theta, np.log(n) - centre[0], np.log(d) - centre[1])[0][0]


def _optima(
    theta: np.ndarray, surface: Surface, flops: np.ndarray, grid: np.ndarray, cost: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """N*(C) for each budget, over a fine grid that reaches past the sizes given."""
    sizes = np.geomspace(grid.min() / 30, grid.max() * 1000, 1200)
    price = cost(sizes)
    return np.array([sizes[np.argmin(_ln_loss(theta, surface.centre, sizes, c / price))] for c in np.atleast_1d(flops)])


def _gradients(
    theta: np.ndarray, surface: Surface, target: float, cost: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of ln L* and of ln N* at the target by theta."""
    centre = surface.centre

    def best(t: np.ndarray) -> float:
        # FLOPs per token nearly proportional to size there: the closed form with the local factor.
        return _closed_size(t[0], centre, target, factor)

    start = float(_optima(theta, surface, np.array([target]), np.array([math.exp(centre[0])]), cost)[0])
    factor = float(cost(np.array([start]))[0]) / start
    size = best(theta)
    loss = _rows(theta, centre, np.array([size]), np.array([target / factor / size]))[0]
    steps = []
    for i in range(5):
        moved = theta.copy()
        moved[0, i] += 1e-5
        steps.append((math.log(best(moved)) - math.log(size)) / 1e-5)
    return loss, np.array(steps)


def _closed_size(t: np.ndarray, centre: tuple[float, float], flops: float, factor: float) -> float:
    a, b, _, alpha, beta = t
    budget = math.log(flops / factor) - centre[0] - centre[1]
    return math.exp(float(ln_best_size(a, b, alpha, beta, budget)) + centre[0])


def _candidates(
    theta: np.ndarray,
    surface: Surface,
    grid: np.ndarray,
    d: np.ndarray,
    budget: float,
    cost: Callable[[np.ndarray], np.ndarray],
    near: float,
) -> _Cells:
    """Cells that fit the budget, lie near the optimum and past the first steps of training; InputError for none."""
    per_token = cost(grid)
    tokens = np.geomspace(d.min(), max(float((budget / per_token).max()), 1.01 * float(d.min())), 49)
    size, token = (v.ravel() for v in np.meshgrid(grid, tokens))
    price = np.repeat(per_token[None, :], len(tokens), 0).ravel() * token
    kept = price <= budget
    size, token, price = size[kept], token[kept], price[kept]
    if len(size):
        kept = np.abs(np.log(size / _optima(theta, surface, price, grid, cost))) <= math.log(near)
        size, token, price = size[kept], token[kept], price[kept]
    kept = price >= min(SMALLEST_SHARE * budget, float(price.max(initial=0.0)) / 2)
    size, token, price = size[kept], token[kept], price[kept]
    if not len(size):
        low = float((per_token * d.min()).min())
        raise InputError(f"--next {budget:g}: less than the smallest useful run, about {low:.2g} FLOPs")
    return _Cells(size, token, price, _rows(theta, surface.centre, size, token))


def _largest_at_optimum(
    cells: _Cells,
    theta: np.ndarray,
    surface: Surface,
    grid: np.ndarray,
    cost: Callable[[np.ndarray], np.ndarray],
    most: float,
    seen: float,
) -> int | None:
    """The largest cell within 15 % of the optimum for at most ``most`` FLOPs; None where none exceeds ``seen``."""
    off = np.abs(np.log(cells.size / _optima(theta, surface, cells.price, grid, cost)))
    large = np.flatnonzero((cells.price <= most) & (cells.price > seen) & (off < 0.15))
    return int(large[np.argmax(cells.price[large])]) if len(large) else None


def _greedy(
    cells: _Cells, chosen: dict[int, int], information: np.ndarray, g_loss: np.ndarray, budget: float, sd: float
) -> np.ndarray:
    """Add to ``chosen`` (cell -> times) what shrinks the loss's variance most per FLOP; the information afterwards."""

    def with_run(information: np.ndarray, i: int) -> np.ndarray:
        return information + np.outer(cells.rows[i], cells.rows[i]) / sd**2

    spent = 0.0
    for i in chosen:
        information, spent = with_run(information, i), spent + float(cells.price[i])
    for _ in range(MOST - len(chosen)):
        covariance = np.linalg.inv(information)
        pull = cells.rows @ covariance
        gain = (pull @ g_loss) ** 2 / (sd**2 + np.einsum("ij,ij->i", pull, cells.rows))
        full = np.isin(np.arange(len(cells.price)), [i for i, k in chosen.items() if k >= TWICE])
        worth = np.where((cells.price <= budget - spent) & ~full, gain / cells.price, -1.0)
        pick = int(np.argmax(worth))
        if worth[pick] <= 0 or gain[pick] < 1e-3 * float(g_loss @ covariance @ g_loss):
            break
        chosen[pick] = chosen.get(pick, 0) + 1
        information, spent = with_run(information, pick), spent + float(cells.price[pick])
    return information


def _one_run(
    theta: np.ndarray,
    surface: Surface,
    before: np.ndarray,
    budget: float,
    grid: np.ndarray,
    cost: Callable[[np.ndarray], np.ndarray],
    sd: float,
) -> np.ndarray:
    """Covariance after one run at the optimum that costs the whole budget."""
    best = _optima(theta, surface, np.array([budget]), grid, cost)
    row = _rows(theta, surface.centre, best, budget / cost(best))[0]
    return np.linalg.inv(np.linalg.inv(before) + np.outer(row, row) / sd**2)


def _se(covariance: np.ndarray, gradient: np.ndarray) -> float:
    return math.sqrt(max(float(gradient @ covariance @ gradient), 0.0))
