"""What a fit returns: frozen records that carry their interval, its kind and their convention."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from difflaw.law.posterior.posterior import Posterior

VertexStatus = Literal["interior", "edge-low", "edge-high", "not-convex", "too-few-sizes"]


@dataclass(frozen=True)
class Interval:
    """A range at a confidence level, and in words what it is an interval *for* and how it was made."""

    low: float
    high: float
    level: float
    kind: str


@dataclass(frozen=True)
class PowerLaw:
    """y = coefficient · x^exponent, fitted as a line in logarithms.

    ``covariance`` is that of (ln coefficient at the centre, exponent), the line being written
    ln y = intercept + exponent · (ln x - centre), so that the two are nearly uncorrelated.
    """

    y: str
    x: str
    coefficient: float
    exponent: float
    interval: Interval | None
    """Interval of the exponent; None where the points are too few to have one."""
    centre: float
    intercept: float
    covariance: tuple[tuple[float, float], tuple[float, float]] | None
    degrees_of_freedom: int
    points: int
    rmse_log: float
    x_range: tuple[float, float]

    def __call__(self, x: float) -> float:
        """Value of the law at ``x``."""
        return math.exp(self.intercept + self.exponent * (math.log(x) - self.centre))


@dataclass(frozen=True)
class Vertex:
    """Lowest point of an isoFLOP parabola, with standard errors in logarithms."""

    params: float
    tokens: float
    flops_per_token: float
    loss: float
    ln_params_se: float
    ln_loss_se: float


@dataclass(frozen=True)
class Profile:
    """Loss against size at one budget for one family, and the parabola through it.

    ln loss = c0 + c1·u + c2·u², u = ln params - ``centre``; ``coefficients`` = (c0, c1, c2).
    """

    family: str
    flops: float
    runs: tuple[str, ...]
    params: tuple[float, ...]
    tokens: tuple[float, ...]
    loss: tuple[float, ...]
    loss_se: tuple[float, ...]
    used: tuple[bool, ...]
    centre: float
    coefficients: tuple[float, float, float] | None
    vertex: Vertex | None
    status: VertexStatus
    message: str = ""


@dataclass(frozen=True)
class SizeEffect:
    """The error shared by all rows of a size (a mis-tuned rate, an unlucky seed), as the data show it."""

    sizes: int
    repeated: int
    """Sizes with at least two rows; with fewer than two of them there is nothing to test."""
    between_sd: float
    """Standard deviation of ln loss shared by a size (REML)."""
    within_sd: float
    """Standard deviation of ln loss of single rows of a size."""
    p_value: float
    """Of "no shared error"; 1 where it could not be tested."""
    detected: bool


@dataclass(frozen=True)
class Surface:
    """L(N, D) = E + A·N^-alpha + B·D^-beta (or the form it names), with intervals and what the data can identify.

    ``theta`` and ``covariance`` are in the fit's own parameters (`forms.make_form(form, entropy).parameters`, with
    logarithms centred at ``centre``), so that forecasts and joint draws need this record alone.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    params_exponent: float
    """a in N* ∝ C^a: beta/(alpha+beta)."""
    intervals: dict[str, Interval]
    huber_delta: float
    objective: float
    rmse_log: float
    condition: float
    starts_agreeing: tuple[int, int]
    points: int
    runs: int
    warnings: tuple[str, ...] = ()
    form: str = "free"
    entropy: float | None = None
    """The known entropy of the forms "fixed", "at-most", "at-least"."""
    theta: tuple[float, ...] = ()
    covariance: tuple[tuple[float, ...], ...] | None = None
    centre: tuple[float, float] = (0.0, 0.0)
    """Means of ln N and ln D that the logarithms are taken from."""
    degrees_of_freedom: int = 0
    interval_method: str = ""
    run_sd: float = math.nan
    """Standard deviation of ln loss of one new run about the law, shared error of its size included."""
    flops_factor: float = 6.0
    """C = flops_factor·N·D: 6 for parameters, 1 where N stands for FLOPs per token."""
    params_range: tuple[float, float] = (math.nan, math.nan)
    tokens_range: tuple[float, float] = (math.nan, math.nan)
    flops_range: tuple[float, float] = (math.nan, math.nan)
    size_effect: SizeEffect | None = None

    def __call__(self, params: float, tokens: float) -> float:
        """Loss in nats per token at ``params`` (table's convention) and ``tokens``."""
        if self.form == "kaplan":
            return (self.A * params ** (-self.alpha / self.beta) + self.B / tokens) ** self.beta
        return self.E + self.A * params**-self.alpha + self.B * tokens**-self.beta


@dataclass(frozen=True)
class HeldOut:
    """One form fitted below a cutoff and judged on the runs above it, in ln loss."""

    form: str
    cutoff: float
    """Largest FLOPs fitted."""
    fitted: int
    held_out: int
    rmse_in: float
    rmse_out: float
    bias: float
    """Mean of ln forecast - ln measured: positive where the runs came out better than forecast."""
    largest: float
    """Mean of ln forecast - ln measured of the runs at the largest budget."""
    factor: float
    """Largest FLOPs held out over the cutoff."""
    params_exponent: float
    params_exponent_interval: Interval | None
    floor: float


@dataclass(frozen=True)
class HoldOut:
    """Rolling-origin hold-out: which form forecasts best, how errors grow with the distance, and how often we cover."""

    form: str
    """The form to forecast with: the first that was tried, unless another errs at least 10 % less."""
    scores: dict[str, float]
    """Form -> root mean square error of ln loss out of sample, every cutoff counting alike."""
    tests: tuple[HeldOut, ...]
    """By form, then by cutoff."""
    growth: float
    """Standard deviation of ln loss that a forecast gains per decade of FLOPs beyond the fitted range."""
    nominal: float
    coverage: float
    """Share of held-out runs inside their widened interval for one new run, each using only what was known before."""
    coverage_plain: float
    """The same without widening."""
    judged: int
    """Held-out runs behind the coverage."""


@dataclass(frozen=True)
class LossForecast:
    """Loss at (N, D): the forecast, its interval for a mean loss and its interval for one new run."""

    params: float
    tokens: float
    flops: float
    loss: float
    mean: Interval | None
    run: Interval | None
    extrapolation_factor: float
    """FLOPs over the largest FLOPs fitted; at most 1 inside the range."""
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Optimum:
    """The best size and tokens for a budget, with intervals for the law, and the loss forecast there."""

    flops: float
    params: float
    tokens: float
    params_interval: Interval | None
    tokens_interval: Interval | None
    forecast: LossForecast


@dataclass(frozen=True)
class Estimate:
    """A number with the ends of its 95 % interval (or of the level asked for)."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class LossEstimate:
    """A loss in nats per token with two intervals: for the law, and for one new run (run noise added)."""

    estimate: float
    law: tuple[float, float]
    run: tuple[float, float]


@dataclass(frozen=True)
class AnswerAt:
    """The answer at one budget; a part is None where it cannot be said."""

    flops: float
    params: Estimate | None
    tokens: Estimate | None
    loss: LossEstimate | None


@dataclass(frozen=True)
class Answer:
    """What a table says of one family. Exponents are those over the budgets fitted; None where nothing can be said."""

    params_exponent: Estimate | None
    """a in N* ∝ C^a, over the budgets that were run."""
    tokens_exponent: Estimate | None
    loss_exponent: Estimate | None
    """x in L* ∝ C^x."""
    largest: AnswerAt | None
    ten_times: AnswerAt | None
    minima: int
    """Budgets whose isoFLOP profile has its minimum inside the sizes run."""
    reason: str
    """What the answer rests on, how it differs from the minima, and what cannot be said and why."""
    source: str
    """"surface", "minima" or "nothing"."""
    level: float = 0.95


@dataclass(frozen=True)
class FamilyLaws:
    """Everything fitted for one family; a law is None where the grid cannot carry it."""

    family: str
    profiles: tuple[Profile, ...]
    params_law: PowerLaw | None
    tokens_law: PowerLaw | None
    flops_per_token_law: PowerLaw | None
    loss_law: PowerLaw | None
    token_bound_law: PowerLaw | None
    surface: Surface | None
    warnings: tuple[str, ...] = ()
    hold_out: HoldOut | None = None
    """Of the surface's own form where that form can be held out."""
    form_reason: str = ""
    """Why the surface has its form."""
    posterior: Posterior | None = None
    """Draws of the averaged law, which every answer, plan and prediction is read from."""
    answer: Answer | None = None
    """Exponents, and best size, tokens and loss at the largest budget and ten times further."""
    without_suspects: Answer | None = None
    """The answer with the runs left out that lie off the law (`Posterior.suspects`), where there are any."""


@dataclass(frozen=True)
class FittedFamilies:
    """The laws of each family of a table, its conventions, what was left out and why, and what to distrust."""

    families: dict[str, FamilyLaws]
    params_convention: str
    flops_convention: str
    rows: int
    excluded: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)
