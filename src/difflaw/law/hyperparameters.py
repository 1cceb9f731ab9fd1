"""Batch size and learning rate from one fit: quadratic in (ln B, ln eta) near its optimum, which moves with N and D.

ln L = level + k_B·(ln B - ln B*)² + k_eta·(ln eta - ln eta*)²,
ln B* = c0 + c1·ln D + c2·ln N,  ln eta* = d0 + d1·ln B + d2·ln D + d3·ln N.
The level is free in every cell of equal size and tokens (`sweep_quadratic`); runs far from the optimum and diverged
ones are trimmed (`sweep_rows`). Cells at the edge of a sweep count: what they say of the slope moves the optimum as it
should, where a parabola per cell would have to be thrown away. Terms are left out where the table does not vary them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from difflaw.errors import InputError
from difflaw.formatting import short_count
from difflaw.law.results import Interval
from difflaw.law.surface.covariance import condition
from difflaw.law.sweep_cells import EdgeCell, cell_ids, edge_cells, edges_text, within
from difflaw.law.sweep_errors import Errors
from difflaw.law.sweep_quadratic import Quadratic
from difflaw.law.sweep_rows import FEW, first_rows, near_rows

Term = Literal["params", "tokens", "batch"]
FLAT = 0.0025
VARIES = 0.3
"""Standard deviation of a logarithm, left after the other terms, below which its exponent cannot be fitted."""
VARIES_WITHIN = 0.15
"""The same for batch and rate within cells, below which the cells cannot carry levels of their own."""
FURTHEST_MOVED = 0.05
"""Share of the loss that batch and rate of a row may cost for it to be moved to the optimum at all."""
MISFIT = 0.01
"""Misfit in ln loss above which the law is said to miss the runs it was fitted to."""


@dataclass(frozen=True)
class HyperparameterFit:
    """The fitted laws of batch and rate; intervals by name ("batch:tokens", "rate:batch", …, "k_batch", "k_rate").

    ``rate_exponents`` hold at a given batch, ``rate_at_best_batch`` along the best batches, eta*(B*(N, D), N, D); its
    intervals are "rate_at_best_batch:params" and "rate_at_best_batch:tokens".
    """

    batch_intercept: float
    batch_exponents: dict[str, float]
    rate_intercept: float
    rate_exponents: dict[str, float]
    k_batch: float
    k_rate: float
    intervals: dict[str, Interval]
    surface: tuple[float, float, float, float, float]
    """E, A, B, alpha, beta at the best batch and rate."""
    rmse_log: float
    """Root mean square of what the fit misses of ln loss, over the rows kept."""
    points: int
    """Rows kept."""
    runs: int
    """Runs they come from."""
    warnings: tuple[str, ...] = ()
    rate_at_best_intercept: float = math.nan
    rate_at_best_batch: dict[str, float] = field(default_factory=dict)
    """Exponents of eta* in params and tokens, the batch being the best."""
    trimmed: int = 0
    """Rows left out, being far from the optimum or diverged."""
    reach: float = FURTHEST_MOVED
    """Share of the loss by which batch and rate of the rows kept cost more than the best of their cell, at most."""
    edges: tuple[EdgeCell, ...] = ()
    """Cells whose lowest run lies at the edge of their own batches or rates."""

    def best_batch(self, tokens: float, params: float = 1.0) -> float:
        """B*(D, N) in tokens."""
        values = {"tokens": tokens, "params": params}
        return math.exp(self.batch_intercept + sum(e * math.log(values[t]) for t, e in self.batch_exponents.items()))

    def best_rate(self, batch: float, tokens: float, params: float = 1.0) -> float:
        """The rate that suits a batch (B, D, N), also one off its best."""
        values = {"tokens": tokens, "params": params, "batch": batch}
        return math.exp(self.rate_intercept + sum(e * math.log(values[t]) for t, e in self.rate_exponents.items()))

    def cost(self, batch: float, rate: float, tokens: float, params: float = 1.0) -> float:
        """What a batch and a rate cost in ln L: k_B·ln²(B/B*) + k_eta·ln²(eta/eta*)."""
        off_batch = math.log(batch / self.best_batch(tokens, params))
        off_rate = math.log(rate / self.best_rate(batch, tokens, params))
        return self.k_batch * off_batch**2 + self.k_rate * off_rate**2

    def flat_batch(self, tokens: float, params: float = 1.0, loss: float = FLAT) -> tuple[float, float]:
        """Batches that give up at most a share ``loss`` of the loss, the rate tuned to each."""
        reach, best = math.exp(math.sqrt(loss / self.k_batch)), self.best_batch(tokens, params)
        return best / reach, best * reach

    def flat_rate(self, batch: float, tokens: float, params: float = 1.0, loss: float = FLAT) -> tuple[float, float]:
        """Rates that give up at most a share ``loss`` of the loss at a batch."""
        reach, best = math.exp(math.sqrt(loss / self.k_rate)), self.best_rate(batch, tokens, params)
        return best / reach, best * reach


def fit_hyperparameters(
    params: Sequence[float] | np.ndarray,
    tokens: Sequence[float] | np.ndarray,
    batch_tokens: Sequence[float] | np.ndarray,
    lr: Sequence[float] | np.ndarray,
    loss: Sequence[float] | np.ndarray,
    runs: Sequence[str] | np.ndarray | None = None,
    *,
    batch_on: Sequence[Term] | None = None,
    rate_on: Sequence[Term] | None = None,
    level: float = 0.95,
) -> HyperparameterFit:
    """Fit batch and rate together.

    Args:
        params: sizes, shape (n,).
        tokens: trained on, shape (n,).
        batch_tokens: batch sizes in tokens, shape (n,).
        lr: learning rates, shape (n,).
        loss: nats per token, shape (n,).
        runs: name of each row's run; rows of one run share their error.
        batch_on: what ln B* may depend on; default "tokens", and "params" where the table varies it and has the rows.
        rate_on: what ln eta* may depend on; default "batch", "tokens" and "params" where the table varies them.
        level: of the intervals.

    Raises:
        InputError: too few rows, batches or rates, or an exponent the table cannot carry.
    """
    columns = {"params": params, "tokens": tokens, "batch": batch_tokens, "lr": lr, "loss": loss}
    logs = {name: np.asarray(values, float) for name, values in columns.items()}
    for name, values in logs.items():
        if len(values) != len(logs["loss"]) or not (np.isfinite(values) & (values > 0)).all():
            raise InputError(f"batch and rate: column {name} must have a positive finite number in every row")
    logs = {name: np.log(values) for name, values in logs.items()}
    n = len(logs["loss"])
    for name, least in (("batch", 3), ("lr", 3), ("params", 3), ("tokens", 3)):
        if len(np.unique(logs[name].round(6))) < least:
            raise InputError(
                f"batch and rate: {name} takes fewer than {least} values; the fit needs {least} or more of each"
            )
    shift = {name: float(values.mean()) for name, values in logs.items()}
    c = {name: values - shift[name] for name, values in logs.items()}
    rate_on = _carried(c, ("batch", "tokens", "params")) if rate_on is None else tuple(rate_on)
    if batch_on is None:
        batch_on = tuple(dict.fromkeys(("tokens", *_carried(c, ("tokens", "params")))))
        batch_on = batch_on if n >= _parameters(batch_on, rate_on) + 3 else ("tokens",)
    for what, terms in (("B*", batch_on), ("eta*", rate_on)):
        lost = [t for t in terms if t not in _carried(c, tuple(terms))]
        if lost:
            raise InputError(
                f"batch and rate: the table does not vary {lost[0]} enough by itself to say how {what} depends on it"
            )
    count = _parameters(batch_on, rate_on)
    if n < count + 3:
        raise InputError(f"batch and rate: {n} rows cannot carry {count} parameters; give at least {count + 3}")
    cells = cell_ids(c["params"], c["tokens"])
    own = _cells_carry(c, cells, first_rows(c, cells), count - 5)
    model = Quadratic(c, batch_on, rate_on, cells if own else None)
    near = near_rows(model)
    part = model.take(near.kept)
    errors = Errors(part, near.theta, None if runs is None else np.asarray(runs, str)[near.kept], level)
    found = _law(part, errors, shift)
    found = replace(found, trimmed=n - found.points, reach=near.reach, edges=edge_cells(logs, cells) if own else ())
    return replace(found, warnings=tuple(_warnings(found, part, errors, logs, int(cells.max()) + 1)))


def _parameters(batch_on: Sequence[Term], rate_on: Sequence[Term]) -> int:
    """Of a surface, two curvatures and the two laws."""
    return 9 + len(batch_on) + len(rate_on)


def _carried(c: dict[str, np.ndarray], terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """Terms that vary by themselves, each after regression on the ones kept before it."""
    kept: list[Term] = []
    for term in terms:
        design = np.stack([np.ones(len(c[term])), *(c[t] for t in kept)], 1)
        left = c[term] - design @ np.linalg.lstsq(design, c[term], rcond=None)[0]
        if float(left.std()) > VARIES:
            kept.append(term)
    return tuple(kept)


def _cells_carry(c: dict[str, np.ndarray], cells: np.ndarray, rows: np.ndarray, parameters: int) -> bool:
    """Whether cells hold enough rows, batches and rates for levels of their own."""
    ids = np.unique(cells[rows], return_inverse=True)[1]
    batch, rate = within(ids, c["batch"][rows]), within(ids, c["lr"][rows])
    rate_left = rate - batch * (batch @ rate) / max(float(batch @ batch), 1e-12)
    spread = min(float(batch.std()), float(rate_left.std()))
    usual = float(np.median(np.bincount(cells)[cells]))
    return bool(spread > VARIES_WITHIN and usual >= FEW and len(ids) - int(ids.max()) - 1 >= 2 * parameters)


def _law(part: Quadratic, errors: Errors, shift: dict[str, float]) -> HyperparameterFit:
    """The law of the rows kept, back in the table's units."""
    value = errors.value
    slopes = {t: value[f"rate:{t}"] for t in part.rate_on}
    along = [t for t in ("params", "tokens") if t in slopes or (t in part.batch_on and "batch" in slopes)]
    intervals = {
        name: errors.interval(name, {name: 1.0}, value[name])
        for name in part.names
        if name not in ("a", "b", "e", "batch:1", "rate:1")
    }
    for name in ("k_batch", "k_rate"):
        low, high = intervals[name].low, intervals[name].high
        intervals[name] = replace(intervals[name], low=math.exp(max(low, -700)), high=math.exp(min(high, 700)))
    at_best = {}
    pull = slopes.get("batch", 0.0)
    for t in along:
        at_best[t] = slopes.get(t, 0.0) + pull * value.get(f"batch:{t}", 0.0)
        gradient = {f"rate:{t}": 1.0, f"batch:{t}": pull, "rate:batch": value.get(f"batch:{t}", 0.0)}
        name = f"rate_at_best_batch:{t}"
        intervals[name] = errors.interval(name, gradient, at_best[t])
    batch_0 = value["batch:1"] + shift["batch"] - sum(value[f"batch:{t}"] * shift[t] for t in part.batch_on)
    rate_0 = value["rate:1"] + shift["lr"] - sum(value[f"rate:{t}"] * shift[t] for t in part.rate_on)
    a, b, e, alpha, beta = errors.surface
    lift = math.exp(shift["loss"])
    floor, size = lift * math.exp(e), lift * math.exp(a + alpha * shift["params"])
    return HyperparameterFit(
        batch_intercept=batch_0,
        batch_exponents={t: value[f"batch:{t}"] for t in part.batch_on},
        rate_intercept=rate_0,
        rate_exponents=slopes,
        k_batch=math.exp(value["k_batch"]),
        k_rate=math.exp(value["k_rate"]),
        intervals=intervals | errors.surface_intervals,
        surface=(floor, size, lift * math.exp(b + beta * shift["tokens"]), alpha, beta),
        rmse_log=float(np.sqrt(np.mean(errors.residual**2))),
        points=len(errors.residual),
        runs=errors.runs,
        rate_at_best_intercept=rate_0 + pull * batch_0,
        rate_at_best_batch=at_best,
    )


def _warnings(
    fit: HyperparameterFit, part: Quadratic, errors: Errors, logs: dict[str, np.ndarray], cells: int
) -> list[str]:
    """What a reader must know; ``logs`` and ``cells`` are of all rows."""
    warnings = []
    low, high = (math.exp(end) for end in (logs["batch"].min(), logs["batch"].max()))
    for end, word in zip((logs["tokens"].min(), logs["tokens"].max()), ("fewest", "most"), strict=True):
        best = fit.best_batch(math.exp(end), math.exp(logs["params"].mean()))
        if not low <= best <= high:
            warnings.append(
                f"at the {word} tokens the best batch, {short_count(best)}, lies outside the batches run "
                f"({short_count(low)} to {short_count(high)}); run it to be sure"
            )
    for name, k in (("batch", fit.k_batch), ("rate", fit.k_rate)):
        if k < 1e-4:
            warnings.append(f"the loss hardly depends on the {name} in this table; its law is not determined")
    if (number := condition(errors.jacobian)) > 1e4:
        warnings.append(
            f"the table determines batch and rate poorly (condition number {number:.1e}); "
            "vary batch and rate independently"
        )
    if fit.rmse_log > MISFIT:
        warnings.append(
            f"the runs near their optimum miss the law by {100 * fit.rmse_log:.2g} % of the loss (typically well "
            "below 1 %), so either the runs are noisy or the optimum does not move as a power law"
        )
    warnings += errors.changing_curvature(part)
    if text := edges_text(fit.edges, cells):
        warnings.append(text)
    return warnings
