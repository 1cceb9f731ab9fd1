"""Batch size and learning rate from one fit to all runs: quadratic in (ln B, ln eta), its optimum moving with N and D.

ln L = ln(E + A/N^alpha + B/D^beta) + k_B·(ln B - ln B*)² + k_eta·(ln eta - ln eta*)²,
ln B* = c0 + c1·ln D (+ c2·ln N),  ln eta* = d0 + d1·ln B + d2·ln D + d3·ln N.
All runs count, cells at the edge of a sweep included: what they say of the slope moves the optimum as it should, where
a parabola per cell would have to be thrown away. Terms are left out where the table does not vary them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from difflaw.errors import InputError
from difflaw.formatting import short_count
from difflaw.law.power import quantile
from difflaw.law.results import Interval
from difflaw.law.surface.covariance import condition, sandwich

Term = Literal["params", "tokens", "batch"]
FLAT = 0.0025
VARIES = 0.3
"""Standard deviation of a logarithm, left after the other terms, below which its exponent cannot be fitted."""


@dataclass(frozen=True)
class HyperparameterFit:
    """The fitted laws of batch and rate; intervals by name ("batch:tokens", "rate:batch", …, "k_batch", "k_rate")."""

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
    points: int
    runs: int
    warnings: tuple[str, ...] = ()

    def best_batch(self, tokens: float, params: float = 1.0) -> float:
        """B*(D, N) in tokens."""
        values = {"tokens": tokens, "params": params}
        return math.exp(self.batch_intercept + sum(e * math.log(values[t]) for t, e in self.batch_exponents.items()))

    def best_rate(self, batch: float, tokens: float, params: float = 1.0) -> float:
        """The rate that suits a batch (B, D, N), also one off its best."""
        values = {"tokens": tokens, "params": params, "batch": batch}
        return math.exp(self.rate_intercept + sum(e * math.log(values[t]) for t, e in self.rate_exponents.items()))

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
    batch_on: Sequence[Term] = ("tokens",),
    rate_on: Sequence[Term] | None = None,
    level: float = 0.95,
) -> HyperparameterFit:
    """Fit surface, batch and rate together.

    Args:
        params: sizes, shape (n,).
        tokens: trained on, shape (n,).
        batch_tokens: batch sizes in tokens, shape (n,).
        lr: learning rates, shape (n,).
        loss: nats per token, shape (n,).
        runs: name of each row's run; rows of one run share their error.
        batch_on: what ln B* may depend on: "tokens", "params" (whether it depends on size is not settled).
        rate_on: what ln eta* may depend on; default "batch", "tokens" and "params" where the table varies them.
        level: of the intervals.

    Raises:
        InputError: too few rows, batches or rates, an exponent the table cannot carry, or losses without an optimum.
    """
    from scipy.optimize import least_squares

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
    for what, terms in (("B*", batch_on), ("eta*", rate_on)):
        lost = [t for t in terms if t not in _carried(c, tuple(terms))]
        if lost:
            raise InputError(
                f"batch and rate: the table does not vary {lost[0]} enough by itself to say how {what} depends on it"
            )
    batch_x = np.stack([np.ones(n), *(c[t] for t in batch_on)], 1)
    rate_x = np.stack([np.ones(n), *(c[t] for t in rate_on)], 1)
    nb, nr = batch_x.shape[1], rate_x.shape[1]
    count = 7 + nb + nr
    if n < count + 3:
        raise InputError(f"batch and rate: {n} rows cannot carry {count} parameters; give at least {count + 3}")

    def parts(theta: np.ndarray) -> tuple[np.ndarray, ...]:
        a, b, e, alpha, beta = theta[:5]
        size, token, floor = np.exp(a - alpha * c["params"]), np.exp(b - beta * c["tokens"]), np.full(n, math.exp(e))
        total = size + token + floor
        u = c["batch"] - batch_x @ theta[7 : 7 + nb]
        v = c["lr"] - rate_x @ theta[7 + nb :]
        return size / total, token / total, floor / total, np.log(total), u, v

    def residual(theta: np.ndarray) -> np.ndarray:
        _, _, _, ln_total, u, v = parts(theta)
        return ln_total + math.exp(theta[5]) * u * u + math.exp(theta[6]) * v * v - c["loss"]

    def jacobian(theta: np.ndarray) -> np.ndarray:
        size, token, floor, _, u, v = parts(theta)
        kb, kr = math.exp(theta[5]), math.exp(theta[6])
        own = [size, token, floor, -size * c["params"], -token * c["tokens"], kb * u * u, kr * v * v]
        batch, rate = -2 * kb * u[:, None] * batch_x, -2 * kr * v[:, None] * rate_x
        return np.concatenate([np.stack(own, 1), batch, rate], 1)

    lower = np.concatenate([[-30, -30, -12, 0.01, 0.01, -14, -14], np.full(nb + nr, -60.0)])
    upper = np.concatenate([[30, 30, 3, 3, 3, 3, 3], np.full(nb + nr, 60.0)])
    derivatives: Any = jacobian  # SciPy's stubs know only the names of its own methods
    best = None
    for start in _starts(c, batch_x, rate_x):
        plain = least_squares(residual, np.clip(start, lower + 1e-6, upper - 1e-6), derivatives, bounds=(lower, upper))
        error = residual(plain.x)
        scale = max(1.345 * 1.4826 * float(np.median(np.abs(error - np.median(error)))), 1e-9)
        robust = least_squares(
            residual, plain.x, derivatives, bounds=(lower, upper), loss="huber", f_scale=scale, xtol=1e-14, ftol=1e-14
        )
        if best is None or robust.cost < best[0].cost:
            best = (robust, scale)
    assert best is not None
    theta, scale = best[0].x, best[1]
    return _result(theta, scale, c, shift, residual(theta), jacobian(theta), batch_on, rate_on, runs, level)


def _carried(c: dict[str, np.ndarray], terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """Terms that vary by themselves, each after regression on the ones kept before it."""
    kept: list[Term] = []
    for term in terms:
        design = np.stack([np.ones(len(c[term])), *(c[t] for t in kept)], 1)
        left = c[term] - design @ np.linalg.lstsq(design, c[term], rcond=None)[0]
        if float(left.std()) > VARIES:
            kept.append(term)
    return tuple(kept)


def _starts(c: dict[str, np.ndarray], batch_x: np.ndarray, rate_x: np.ndarray) -> list[np.ndarray]:
    """Starts: quadratics through the best tenth of the runs of like size and tokens, with three curvatures."""
    design = np.stack([np.ones_like(c["loss"]), c["params"], c["tokens"], c["params"] ** 2, c["tokens"] ** 2], 1)
    above = c["loss"] - design @ np.linalg.lstsq(design, c["loss"], rcond=None)[0]
    good = above <= np.quantile(above, 0.3)
    batch = np.linalg.lstsq(batch_x[good], c["batch"][good], rcond=1e-6)[0]
    rate = np.linalg.lstsq(rate_x[good], c["lr"][good], rcond=1e-6)[0]
    low = float(c["loss"].min())
    out = []
    for k in (1e-3, 1e-2, 5e-2):
        surface = [low - 1.5, low - 1.5, low - 0.3, 0.35, 0.35, math.log(k), math.log(k)]
        out.append(np.concatenate([surface, batch, rate]))
    return out


def _result(
    theta: np.ndarray,
    scale: float,
    c: dict[str, np.ndarray],
    shift: dict[str, float],
    residual: np.ndarray,
    jac: np.ndarray,
    batch_on: Sequence[Term],
    rate_on: Sequence[Term],
    runs: Sequence[str] | np.ndarray | None,
    level: float,
) -> HyperparameterFit:
    n, nb = len(residual), 1 + len(batch_on)
    cluster = np.arange(n) if runs is None else np.unique(np.asarray(runs, str), return_inverse=True)[1]
    groups = int(cluster.max()) + 1
    dof = max(groups - len(theta), 1)
    covariance = sandwich(jac, residual, cluster, scale)
    names = ["a", "b", "e", "alpha", "beta", "k_batch", "k_rate", "batch:1"]
    names += [f"batch:{t}" for t in batch_on] + ["rate:1"] + [f"rate:{t}" for t in rate_on]
    half = quantile(level, dof) * np.sqrt(np.maximum(np.diag(covariance), 0.0))
    how = (
        f"{100 * level:g} % for the law's {{}}: {'HC3' if runs is None else 'clustered by run, CR3'} sandwich, t({dof})"
    )
    intervals = {}
    for i, name in enumerate(names):
        if name in ("a", "b", "e", "batch:1", "rate:1"):
            continue
        low, high = float(theta[i] - half[i]), float(theta[i] + half[i])
        if name.startswith("k_"):
            low, high = math.exp(max(low, -700)), math.exp(min(high, 700))
        intervals[name] = Interval(low, high, level, how.format(name))
    batch, rate = theta[7 : 7 + nb], theta[7 + nb :]
    batch_0 = batch[0] + shift["batch"] - sum(e * shift[t] for t, e in zip(batch_on, batch[1:], strict=True))
    rate_0 = rate[0] + shift["lr"] - sum(e * shift[t] for t, e in zip(rate_on, rate[1:], strict=True))
    a, b, e, alpha, beta = (float(v) for v in theta[:5])
    lift = math.exp(shift["loss"])
    found = HyperparameterFit(
        batch_intercept=float(batch_0),
        batch_exponents={t: float(v) for t, v in zip(batch_on, batch[1:], strict=True)},
        rate_intercept=float(rate_0),
        rate_exponents={t: float(v) for t, v in zip(rate_on, rate[1:], strict=True)},
        k_batch=math.exp(theta[5]),
        k_rate=math.exp(theta[6]),
        intervals=intervals,
        surface=(
            lift * math.exp(e),
            lift * math.exp(a + alpha * shift["params"]),
            lift * math.exp(b + beta * shift["tokens"]),
            alpha,
            beta,
        ),
        rmse_log=float(np.sqrt(np.mean(residual**2))),
        points=n,
        runs=groups,
    )
    warnings = _warnings(found, c, shift, jac)
    return HyperparameterFit(**{**vars(found), "warnings": tuple(warnings)})


def _warnings(fit: HyperparameterFit, c: dict[str, np.ndarray], shift: dict[str, float], jac: np.ndarray) -> list[str]:
    warnings = []
    low, high = (math.exp(end + shift["batch"]) for end in (c["batch"].min(), c["batch"].max()))
    points = [(c["tokens"] + shift["tokens"]).min(), (c["tokens"] + shift["tokens"]).max()]
    for end, word in zip(points, ("fewest", "most"), strict=True):
        best = fit.best_batch(math.exp(end), math.exp(shift["params"]))
        if not low <= best <= high:
            warnings.append(
                f"at the {word} tokens the best batch, {short_count(best)}, lies outside the batches run "
                f"({short_count(low)} to {short_count(high)}); run it to be sure"
            )
    for name, k in (("batch", fit.k_batch), ("rate", fit.k_rate)):
        if k < 1e-4:
            warnings.append(f"the loss hardly depends on the {name} in this table; its law is not determined")
    if (number := condition(jac)) > 1e4:
        warnings.append(
            f"the table determines batch and rate poorly (condition number {number:.1e}); "
            "vary batch and rate independently"
        )
    return warnings
