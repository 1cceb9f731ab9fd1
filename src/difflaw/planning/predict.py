"""A law as the planner needs it: best size and loss at a budget, and what leaving the optimum costs.

Where a publication has both, the *level* comes from its power laws (which held to 2 % at 50 times the fitted compute)
and the *curvature* around the optimum from its surface (which did not: 5 to 11 % off, its floor being unidentified).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from difflaw.errors import InputError
from difflaw.law.power import predict_interval, quantile
from difflaw.law.published import HyperLaw, Repeats
from difflaw.law.results import Interval, PowerLaw
from difflaw.law.surface.forms import ln_best_size

USUAL_CURVATURE = 0.02
"""k in ln L = ln L* + k·ln²(M/M*) where a law brings none: the published profiles show 0.014 to 0.038."""
ASSUMED = "assumed"
"""How a curvature that no data gave begins its source."""


FORM_ERROR = 0.01
"""Standard deviation of ln L a decade beyond the fitted range: the runs of 2512.10858 came out 0.4 to 2.1 % off at 0.7
to 1.7 decades, the Chinchilla points 1.4 % at 1.7."""
RUN_NOISE = 0.002
"""Standard deviation of ln L from run to run where a law does not say (replicate seeds: 0.001 to 0.003)."""


@dataclass(frozen=True)
class AdditiveLoss:
    """E + A·M^-alpha + B·D^-beta in FLOPs per token M and tokens D."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def __call__(self, m: float, tokens: float) -> float:
        """Loss at M and D."""
        return self.E + self.A * m**-self.alpha + self.B * tokens**-self.beta

    def best(self, flops: float) -> float:
        """M at which the loss is lowest for M·D = ``flops``."""
        ln_a, ln_b = math.log(self.A), math.log(self.B)
        return math.exp(float(ln_best_size(ln_a, ln_b, self.alpha, self.beta, math.log(flops))))


@dataclass(frozen=True)
class SurfaceError:
    """Covariance of a fitted surface's (ln A, ln B, ln E, alpha, beta), logarithms of N and D centred."""

    covariance: tuple[tuple[float, ...], ...]
    centre: tuple[float, float]
    dof: int


@dataclass(frozen=True)
class Forecast:
    """What one law says of one family; sizes are FLOPs per token in the law's convention."""

    family: str
    origin: str
    params_convention: str
    flops_convention: str
    tokenizer: str
    bound: str
    vocab_size: int
    context: int
    size_law: PowerLaw
    """M*(C)."""
    loss_law: PowerLaw | None
    form: AdditiveLoss | None
    """The curvature around the optimum; also the level where there is no loss law."""
    curvature: float = USUAL_CURVATURE
    curvature_source: str = ""
    """Where the curvature comes from, in words."""
    flops_range: tuple[float, float] | None = None
    cooldown: float | None = None
    batch: HyperLaw | None = None
    lr: HyperLaw | None = None
    pooled_batch: HyperLaw | None = None
    batch_overhead: float | None = None
    batch_curvature: float | None = None
    """k in ln L = ... + k·ln²(B/B*), where the table swept batch and rate; then used in place of the overhead."""
    repeats: Repeats | None = None
    holdout_per_decade: float | None = None
    published: bool = True
    surface_error: SurfaceError | None = None
    notes: tuple[str, ...] = field(default=())
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """How the runs behind the law were trained, and a planned one is to be (keys of `training.recipe.Recipe`)."""
    family_config: Mapping[str, Any] = field(default_factory=dict)
    """Name and options of the family behind the label ``family``, where a ladder says so."""

    @property
    def has_loss(self) -> bool:
        """Whether a loss can be forecast at all."""
        return self.loss_law is not None or self.form is not None

    @property
    def domain(self) -> tuple[float, float]:
        """FLOPs between which a budget is sought."""
        return 1e6, 1e60

    @property
    def floor(self) -> float:
        """Loss that no budget reaches; 0 where the law has none."""
        return self.form.E if self.loss_law is None and self.form is not None else 0.0

    def best_size(self, flops: float) -> float:
        """M*(C)."""
        return self.size_law(flops)

    def best_loss(self, flops: float) -> float:
        """L*(C) as the law states it (before any cooldown factor)."""
        if self.loss_law is not None:
            return self.loss_law(flops)
        if self.form is None:
            raise InputError(f"{self.origin}: has no law of the loss of {self.family}; choose another law for that")
        m = self.form.best(flops)
        return self.form(m, flops / m)

    def regret(self, m: float, flops: float) -> float:
        """Ln of the loss at M over the best loss at the same FLOPs; 0 at M*."""
        u = math.log(m / self.best_size(flops))
        if self.form is None:
            return self.curvature * u * u
        best = self.form.best(flops)
        moved = best * math.exp(u)
        return math.log(self.form(moved, flops / moved) / self.form(best, flops / best))

    def loss(self, m: float, tokens: float) -> float:
        """L(M, D) = L*(M·D) · exp(regret)."""
        return self.best_loss(m * tokens) * math.exp(self.regret(m, m * tokens))

    def loss_of(self, m: float, tokens: float, unique: float | None, worth: float) -> float:
        """L at M and D tokens, of which ``unique`` differ, so that they are worth ``worth`` fresh ones."""
        return self.loss(m, worth)

    def slope(self, flops: float) -> float:
        """-d ln L*/d ln C, which at the optimum is also what more tokens buy at fixed size."""
        step = 1.01
        return -math.log(self.best_loss(flops * step) / self.best_loss(flops)) / math.log(step)

    def size_interval(self, flops: float, level: float = 0.95) -> Interval | None:
        """Interval of M*(C), None where the law gives none."""
        return predict_interval(self.size_law, flops, level)

    def loss_interval(self, flops: float, level: float = 0.95) -> Interval | None:
        """Interval of L*(C) for the law's mean, None where the law gives none."""
        if self.loss_law is not None:
            return predict_interval(self.loss_law, flops, level)
        if self.form is None or self.surface_error is None:
            return None
        # At the optimum the size may be held fixed (envelope theorem), so only the surface's own gradient counts.
        m, error = self.form.best(flops), self.surface_error
        best = self.form(m, flops / m)
        size, token = self.form.A * m**-self.form.alpha / best, self.form.B * (flops / m) ** -self.form.beta / best
        x, z = math.log(m / 6) - error.centre[0], math.log(flops / m) - error.centre[1]
        g = (size, token, self.form.E / best, -size * x, -token * z)
        variance = sum(g[i] * error.covariance[i][j] * g[j] for i in range(5) for j in range(5))
        half = quantile(level, error.dof) * math.sqrt(max(variance, 0.0))
        kind = f"{100 * level:g} % for the law's mean loss, from the surface's covariance; assumes the form holds"
        return Interval(best * math.exp(-half), best * math.exp(half), level, kind)

    def params_interval(self, flops: float, level: float = 0.95) -> Interval | None:
        """Interval of N*(C) where the law speaks of parameters itself."""
        return None

    def intervals_at(
        self, m: float, tokens: float, unique: float | None, worth: float, level: float
    ) -> tuple[Interval | None, Interval | None]:
        """(for the law, for one new run) of the loss at M and D: the law's error, run noise, and its form's.

        ``unique`` and ``worth`` as in `loss_of`.
        """
        flops, loss = m * tokens, self.loss_of(m, tokens, unique, worth)
        # Repeats count for less, so the law's level is read at fewer FLOPs.
        law = self.loss_interval(m * worth, level)
        known = self.loss_interval(flops, 0.95)
        dof = 0
        if self.loss_law is not None:
            dof = self.loss_law.degrees_of_freedom
        elif self.surface_error is not None:
            dof = self.surface_error.dof
        error = math.log(known.high / known.low) / 2 / quantile(0.95, dof) if known else 0.0
        rate = self.holdout_per_decade or FORM_ERROR
        form = rate * math.log10(self.extrapolation_factor(flops))
        half = quantile(level, dof if known else 0) * math.hypot(error, RUN_NOISE, form)
        missing = "" if known else "; the law's own error is not known and not in it"
        kind = (
            f"{100 * level:g} % for one new run: law {100 * error:.2f} %, run to run {100 * RUN_NOISE:g} %, "
            f"form {100 * form:.2f} % ({100 * rate:.2g} % a decade beyond the fitted range){missing}"
        )
        run = Interval(loss * math.exp(-half), loss * math.exp(half), level, kind)
        return (None if law is None else _around(law, loss)), run

    def extrapolation_factor(self, flops: float) -> float:
        """Factor by which ``flops`` lies outside the fitted range; 1 inside or where no range is known."""
        if self.flops_range is None:
            return 1.0
        low, high = self.flops_range
        return max(flops / high, low / flops, 1.0)


def _around(interval: Interval, value: float) -> Interval:
    """The interval moved so that ``value`` lies in its middle, in logarithms: what a run off the best size gives up."""
    half = math.sqrt(interval.high / interval.low)
    return Interval(value / half, value * half, interval.level, interval.kind)
