"""Laws for repeated data: what the second and the hundredth epoch are worth, and where they begin to hurt.

Saturating (Muennighoff et al. 2023): L = E + A/N^alpha + B/D'^beta, D' = U + U·R*·(1 - exp(-R/R*)), R = D/U - 1, U the
different tokens; it can never rise with epochs. (Their like rule for sizes past the optimum of U is not fitted.)
Overfitting: plus P·(D/U - 1)^kappa·(N/U)^rho, an additive penalty (after 2605.01640, of which the abstract alone was
read), needed as soon as the loss rises with epochs. R* far above the epochs that were run is not identified: then a
one-sided bound is given and no number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from difflaw.errors import InputError
from difflaw.law.power import quantile
from difflaw.law.results import Interval
from difflaw.law.search import root

FormName = Literal["saturating", "overfitting"]


@dataclass(frozen=True)
class DataLimitedLaw:
    """A fitted law of repeated data.

    ``half_life`` is R*, in repeats after the first epoch: None where the data only say that it is larger than
    ``half_life_at_least``.
    """

    form: FormName
    E: float
    A: float
    B: float
    alpha: float
    beta: float
    half_life: float | None
    half_life_interval: Interval | None
    half_life_at_least: float
    penalty: tuple[float, float, float] | None
    """P, kappa, rho of the overfitting term."""
    rmse_log: float
    points: int
    most_epochs: float
    fitted_half_life: float
    """The value used to evaluate the law, identified or not."""
    warnings: tuple[str, ...] = ()

    def worth(self, tokens: float, unique: float) -> float:
        """Effective tokens D'."""
        return float(effective_tokens(tokens, unique, self.fitted_half_life))

    def __call__(self, params: float, tokens: float, unique: float) -> float:
        """Loss at N, D and U, nats per token."""
        loss = self.E + self.A * params**-self.alpha + self.B * self.worth(tokens, unique) ** -self.beta
        if self.penalty is not None and tokens > unique:
            p, kappa, rho = self.penalty
            loss += p * (tokens / unique - 1) ** kappa * (params / unique) ** rho
        return loss

    def best_epochs(self, params: float, unique: float, most: float = 1e4) -> float:
        """Epochs after which the loss rises; ``most`` where it never does up to there."""
        epochs = np.geomspace(1.0, most, 2000)
        losses = [self(params, unique * e, unique) for e in epochs]
        return most if losses[-1] <= min(losses) * (1 + 1e-9) else float(epochs[int(np.argmin(losses))])


def effective_tokens(tokens: Any, unique: Any, half_life: float) -> Any:
    """What ``tokens`` are worth, of which ``unique`` differ: D' = U + U·R*·(1 - exp(-R/R*)) where D > U, else D.

    Muennighoff et al. 2023 (2305.16264), section 3.1, with R = D/U - 1. Numbers or arrays that broadcast; ``unique``
    None says that no token is seen twice.
    """
    if unique is None:
        return tokens
    repeats = np.maximum(tokens / unique - 1, 0.0)
    return np.minimum(tokens, unique) + unique * half_life * -np.expm1(-repeats / half_life)


def fit_data_limited(
    params: Sequence[float] | np.ndarray,
    tokens: Sequence[float] | np.ndarray,
    unique: Sequence[float] | np.ndarray,
    loss: Sequence[float] | np.ndarray,
    *,
    form: FormName = "saturating",
    level: float = 0.95,
) -> DataLimitedLaw:
    """Fit a law of repeated data to runs with D tokens over U different ones.

    R* gets a profile-likelihood interval: its likelihood is flat towards infinity, which no symmetric interval shows.

    Args:
        params: N, shape (n,).
        tokens: D, shape (n,).
        unique: U, shape (n,); runs of one epoch (D <= U) are welcome, they fix the rest of the law.
        loss: nats per token, shape (n,).
        form: "saturating" or "overfitting".
        level: of the interval.

    Raises:
        InputError: unusable columns, too few rows, or no run that repeats its data.
    """
    if form not in ("saturating", "overfitting"):
        raise InputError(f"no data-limited form called '{form}'; choose saturating or overfitting")
    columns = {"params": params, "tokens": tokens, "unique": unique, "loss": loss}
    c = {name: np.asarray(values, float) for name, values in columns.items()}
    for name, values in c.items():
        if len(values) != len(c["loss"]) or not (np.isfinite(values) & (values > 0)).all():
            raise InputError(f"data-limited law: column {name} must have a positive finite number in every row")
    n, most = len(c["loss"]), float((c["tokens"] / c["unique"]).max(initial=0.0))
    count = 6 if form == "saturating" else 9
    if n < count + 3:
        raise InputError(f"data-limited law: {n} rows cannot carry {count} parameters; give at least {count + 3}")
    if most < 1.5:
        raise InputError(
            f"data-limited law: no run repeats its data (at most {most:.2g} epochs); add runs of 4 epochs and more"
        )
    lives = np.geomspace(0.3, 1000 * most, 33)
    best: tuple[float, np.ndarray] | None = None
    profile = []
    start = None
    for life in lives:
        theta, cost = _fit(c, float(life), form, start)
        start = theta
        profile.append(cost)
        if best is None or cost < best[0]:
            best = (cost, theta)
    assert best is not None
    low, high = lives[max(int(np.argmin(profile)) - 1, 0)], lives[min(int(np.argmin(profile)) + 1, len(lives) - 1)]
    life, theta, cost = _refine(c, float(low), float(high), form, best[1])
    dof = n - count
    # Profile interval: where the sum of squares rises by t²·s² (an F test of one parameter).
    bar = 2 * cost * (1 + quantile(level, dof) ** 2 / dof)
    one_sided = 2 * cost * (1 + quantile(2 * level - 1, dof) ** 2 / dof)
    inside = 2 * np.array(profile) <= bar
    lower, upper = _crossing(c, lives, profile, life, bar, form, theta)
    warnings = []
    identified = upper is not None and bool(inside.any() or lower is not None)
    bound, _ = _crossing(c, lives, profile, life, one_sided, form, theta)
    at_least = bound if bound is not None else 0.0
    interval = None
    if identified and lower is not None and upper is not None:
        kind = f"{100 * level:g} % for R*: profile likelihood, t({dof}); assumes the form holds"
        interval = Interval(lower, upper, level, kind)
    else:
        warnings.append(
            f"R* is not identified from at most {most:.3g} epochs: with {100 * level:g} % confidence it is larger than "
            f"{at_least:.3g}, and no upper end can be given"
        )
    penalty = None
    if form == "overfitting":
        penalty = (math.exp(theta[5]), float(theta[6]), float(theta[7]))
    elif _rises(c):
        warnings.append("the loss rises with epochs in some runs, which this form cannot do; use form 'overfitting'")
    return DataLimitedLaw(
        form=form,
        E=math.exp(theta[2]),
        A=math.exp(theta[0] + theta[3] * float(np.log(c["params"]).mean())),
        B=math.exp(theta[1] + theta[4] * float(np.log(c["tokens"]).mean())),
        alpha=float(theta[3]),
        beta=float(theta[4]),
        half_life=life if interval is not None else None,
        half_life_interval=interval,
        half_life_at_least=at_least,
        penalty=penalty,
        rmse_log=math.sqrt(2 * cost / n),
        points=n,
        most_epochs=most,
        fitted_half_life=life,
        warnings=tuple(warnings),
    )


def _fit(c: dict[str, np.ndarray], life: float, form: FormName, start: np.ndarray | None) -> tuple[np.ndarray, float]:
    """(theta, half the sum of squares of ln loss) with R* held at ``life``."""
    from scipy.optimize import least_squares

    x = np.log(c["params"]) - np.log(c["params"]).mean()
    z = np.log(effective_tokens(c["tokens"], c["unique"], life)) - np.log(c["tokens"]).mean()
    y = np.log(c["loss"])
    repeats = np.maximum(c["tokens"] / c["unique"] - 1, 0.0)
    repeated, ln_r = repeats > 0, np.log(np.where(repeats > 0, repeats, 1.0))
    ratio = np.log(c["params"] / c["unique"])

    def pieces(t: np.ndarray) -> list[np.ndarray]:
        out = [np.exp(t[0] - t[3] * x), np.exp(t[1] - t[4] * z), np.full_like(x, math.exp(t[2]))]
        if form == "overfitting":
            out.append(np.where(repeated, np.exp(np.clip(t[5] + t[6] * ln_r + t[7] * ratio, -80, 30)), 0.0))
        return out

    def residual(t: np.ndarray) -> np.ndarray:
        return np.log(sum(pieces(t))) - y

    def derivatives(t: np.ndarray) -> Any:
        parts = pieces(t)
        total = sum(parts)
        a, b, e = (p / total for p in parts[:3])
        rows = [a, b, e, -a * x, -b * z]
        if form == "overfitting":
            p = parts[3] / total
            rows += [p, p * ln_r, p * ratio]
        return np.stack(rows, 1)

    low, high = [-30, -30, -15, 0.02, 0.02], [30, 30, float(y.min()), 2.0, 2.0]
    if form == "overfitting":
        low, high = [*low, -60, 0.1, 0.0], [*high, 60, 4.0, 3.0]
    starts = [] if start is None else [start]
    if start is None:
        for exponent in (0.25, 0.4):
            floor = float(y.min()) - 0.3
            base = [floor - 1, floor - 1, floor, exponent, exponent]
            starts.append(np.array(base + ([-3.0, 1.0, 0.5] if form == "overfitting" else [])))
    slopes: Any = derivatives  # SciPy's stubs know only the names of its own methods
    found = [
        least_squares(
            residual,
            np.clip(s, np.array(low) + 1e-9, np.array(high) - 1e-9),
            slopes,
            bounds=(low, high),
            xtol=1e-10,
            ftol=1e-10,
            gtol=1e-10,
            max_nfev=80,
        )
        for s in starts
    ]
    one = min(found, key=lambda f: f.cost)
    return one.x, float(one.cost)


def _refine(
    c: dict[str, np.ndarray], low: float, high: float, form: FormName, theta: np.ndarray
) -> tuple[float, np.ndarray, float]:
    """The best R* between two values, by Brent's bounded search in its logarithm."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda ln: _fit(c, math.exp(ln), form, theta)[1], bounds=(math.log(low), math.log(high)), method="bounded"
    )
    life = math.exp(float(found.x))  # type: ignore[attr-defined]
    theta, cost = _fit(c, life, form, theta)
    return life, theta, cost


def _crossing(
    c: dict[str, np.ndarray],
    lives: np.ndarray,
    profile: Sequence[float],
    life: float,
    bar: float,
    form: FormName,
    theta: np.ndarray,
) -> tuple[float | None, float | None]:
    """(lower, upper) R* at which the profile crosses ``bar``; None where it does not."""
    values = 2 * np.array(profile)

    def above(ln_life: float) -> float:
        return 2 * _fit(c, math.exp(ln_life), form, theta)[1] - bar

    def solve(outside: float) -> float:
        return math.exp(root(above, math.log(life), math.log(outside), 1e-6))

    lesser, greater = np.flatnonzero((lives < life) & (values > bar)), np.flatnonzero((lives > life) & (values > bar))
    lower = solve(float(lives[lesser[-1]])) if len(lesser) else None
    upper = solve(float(lives[greater[0]])) if len(greater) else None
    return lower, upper


def _rises(c: dict[str, np.ndarray]) -> bool:
    """Whether, at one size and one corpus, more epochs gave a loss higher by .5 % and more."""
    keys = np.stack([c["params"], c["unique"]], 1).round(6)
    for key in np.unique(keys, axis=0):
        rows = np.flatnonzero((keys == key).all(1))
        ordered = rows[np.argsort(c["tokens"][rows])]
        losses = c["loss"][ordered]
        if len(losses) > 1 and losses[-1] > 1.005 * losses.min():
            return True
    return False
