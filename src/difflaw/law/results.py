"""What a fit returns: frozen records that carry their interval, its kind and their convention."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

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
class Surface:
    """L(N, D) = E + A·N^-alpha + B·D^-beta with intervals by name and what the data can identify."""

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

    def __call__(self, params: float, tokens: float) -> float:
        """Loss in nats per token at ``params`` (table's convention) and ``tokens``."""
        return self.E + self.A * params**-self.alpha + self.B * tokens**-self.beta


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


@dataclass(frozen=True)
class Laws:
    """The laws of a table, its conventions, what was left out and why, and what to distrust."""

    families: dict[str, FamilyLaws]
    params_convention: str
    flops_convention: str
    rows: int
    excluded: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)
