"""What to distrust of a plan: extrapolation, an uncertain size, repeats, assumptions nobody stated."""

from __future__ import annotations

import math

from difflaw.formatting import flops as in_flops
from difflaw.formatting import short_count
from difflaw.planning.family_names import AUTOREGRESSIVE
from difflaw.planning.fitted import FittedForecast
from difflaw.planning.predict import ASSUMED, Forecast
from difflaw.planning.problem import Problem

OUTSIDE = 4.0
"""Factor beyond the sizes that were run at which a shape is named as one nobody has tried."""
FAR, ABSURD = 10.0, 1e4
"""Factors beyond the fitted range at which a plan warns, and at which it states no loss."""


def caveats(problem: Problem, flops: float, size_ratio: float, tokens: float, params: float) -> tuple[str, ...]:
    """Warnings for a run of ``flops`` FLOPs, ``size_ratio`` times the best size, on ``tokens``, of ``params``."""
    law, ask = problem.law, problem.ask
    found = _extrapolation(law, flops)
    size = law.size_interval(flops, ask.level)
    if size is not None and size.high > 10 * size.low:
        found.append(
            f"{law.family}: the law knows its best size only within a factor {size.high / size.low:.2g}; "
            "add budgets and sizes (plan --next) before believing this shape"
        )
    if law.flops_range is None:
        found.append("the law does not say over which budgets it was fitted")
    if abs(math.log(size_ratio)) > math.log(4):
        found.append(
            f"the size is {size_ratio:.2g} times the best for its FLOPs; that far off the frontier laws hold badly"
        )
    if ask.unique_tokens and tokens > 4 * ask.unique_tokens:
        checked = f"{law.repeats.checked}; {law.repeats.source}" if law.repeats else "assumed"
        found.append(
            f"{tokens / ask.unique_tokens:.3g} epochs: repeats count with a half-life constant of "
            f"{problem.half_life:.4g} ({checked})"
        )
    if ask.inference_tokens and ask.inference_passes is None and law.family not in AUTOREGRESSIVE:
        found.append(
            "one forward pass per generated token is assumed; a diffusion model without cache needs "
            "window / (tokens per step) of them: give --inference-passes"
        )
    if law.curvature and law.curvature_source.startswith(ASSUMED):
        found.append(f"what a wrong size costs is {law.curvature_source}")
    if isinstance(law, FittedForecast):
        found += _beyond_the_sizes(law, params)
    return tuple(found)


def _beyond_the_sizes(law: FittedForecast, params: float) -> list[str]:
    """A sentence where the shape is one that the table's sizes hardly speak of."""
    low, high = law.draws.params_range
    if low / OUTSIDE <= params <= high * OUTSIDE:
        return []
    factor, side = (params / high, "largest") if params > high else (low / params, "smallest")
    return [
        f"{short_count(params)} parameters are a factor {factor:.2g} beyond the {side} size that was run "
        f"({short_count(high if params > high else low)}): run a size near it first"
    ]


def _extrapolation(law: Forecast, flops: float) -> list[str]:
    factor = law.extrapolation_factor(flops)
    seen = "not known" if law.flops_range is None else " to ".join(f"{c:.2g}" for c in law.flops_range) + " FLOPs"
    if factor >= ABSURD:
        return [
            f"{in_flops(flops)} lie a factor {factor:.1g} outside the fitted range "
            f"({seen}): no loss is stated, and the rest is arithmetic, not a forecast"
        ]
    if factor >= FAR:
        return [
            f"{in_flops(flops)} lie a factor {factor:.3g} outside the fitted range ({seen}); published laws "
            "were 0.4 to 5 % off in the loss at such distances"
        ]
    return []
