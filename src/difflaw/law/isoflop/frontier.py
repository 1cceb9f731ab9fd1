"""The compute-optimal frontier: how the best size, tokens, FLOPs per token and loss grow with the budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from difflaw.formatting import flops as in_flops
from difflaw.law.isoflop.profiles import Noise
from difflaw.law.isoflop.resample import LAWS, resample_laws
from difflaw.law.power import Line, fit_line, power_law
from difflaw.law.results import PowerLaw, Profile, Vertex

SHARED_RUNS = "treats the budgets as independent though one run may feed several"


@dataclass(frozen=True)
class Frontier:
    """Laws through the interior minima of one family; all None where fewer than two budgets have one."""

    params: PowerLaw | None = None
    tokens: PowerLaw | None = None
    flops_per_token: PowerLaw | None = None
    loss: PowerLaw | None = None
    token_bound: PowerLaw | None = None
    warnings: tuple[str, ...] = ()


def frontier_laws(profiles: Sequence[Profile], noise: Noise, level: float = 0.95, seed: int = 0) -> Frontier:
    """Power laws through the interior minima of one family's profiles; edge minima are never averaged in.

    N*, D*, M* and L* against C, and L* against D* (the token-bound law: the loss that D tokens buy at their own
    compute-optimal size). D* = C/M*, so the exponents of D* and M* sum to one exactly. Laws have no floor: far beyond
    the range the loss law falls below any entropy.

    Args:
        profiles: all profiles of the family.
        noise: scatter about the parabolas, as `fit_profiles` returns it.
        level: of the intervals.
        seed: of the resampling.
    """
    pairs = [(p, p.vertex) for p in profiles if p.status == "interior" and p.vertex is not None]
    if len(pairs) < 2:
        return Frontier(warnings=(_too_few(profiles, len(pairs)),))
    interior, minima = [p for p, _ in pairs], [v for _, v in pairs]
    values = {
        name: np.log([getattr(v, name) for v in minima]) for name in ("params", "tokens", "flops_per_token", "loss")
    }
    values["flops"] = np.log([p.flops for p in interior])
    lines: dict[str, Line] = {}
    for name, (x, y) in LAWS.items():
        line = fit_line(values[x], values[y], _variance(y, minima, interior), noise.dof)
        if line is not None:
            lines[name] = line
    spreads, lost = resample_laws(interior, noise, lines, seed)
    laws: dict[str, PowerLaw | None] = {}
    for name, (x, y) in LAWS.items():
        extra = [spreads[name]] if name in spreads else []
        laws[name] = power_law(lines.get(name), y, x, level, extra, SHARED_RUNS)
    warnings = []
    if len(minima) == 2:
        warnings.append("two budgets draw a line but cannot test it; add a third and a fourth budget")
    elif len(minima) == 3:
        warnings.append("three budgets leave one degree of freedom to test the power law; add a fourth budget")
    span = math.log10(interior[-1].flops / interior[0].flops)
    if span < 1:
        warnings.append(
            f"the budgets with a minimum span only a factor {10**span:.3g}; extrapolation needs at least 10"
        )
    if lost > 0.2:
        warnings.append(
            f"{lost * 100:.0f} % of refits of the perturbed profiles had no minimum: "
            "the profiles are too flat for their noise"
        )
    return Frontier(**laws, warnings=tuple(warnings))


def _variance(name: str, minima: Sequence[Vertex], profiles: Sequence[Profile]) -> np.ndarray | None:
    """Variance of ln y at each minimum; for M and D the slope of ln M in ln N times that of ln N."""
    if name == "loss":
        return np.array([v.ln_loss_se**2 for v in minima])
    variance = np.array([v.ln_params_se**2 for v in minima])
    if name == "params":
        return variance
    slopes = []
    for v, p in zip(minima, profiles, strict=True):
        right = int(np.clip(np.searchsorted(p.params, v.params), 1, len(p.params) - 1))
        rise = math.log(p.tokens[right - 1] / p.tokens[right])
        slopes.append(rise / math.log(p.params[right] / p.params[right - 1]))
    return variance * np.square(slopes)


def _too_few(profiles: Sequence[Profile], have: int) -> str:
    """What to add so that a law can be drawn."""
    count = "no budget has" if have == 0 else "only one budget has"
    edge = next((p for p in profiles if p.status.startswith("edge")), None)
    if edge is not None:
        return f"{count} an interior minimum, so there is no law; {edge.message}"
    if profiles:
        where = f" (the budgets: {', '.join(in_flops(p.flops) for p in profiles)})"
        return f"{count} an interior minimum, so there is no law; add budgets and at least 4 sizes at each{where}"
    return "no budget has runs of several sizes, so there is no law of the minima; add sizes at equal FLOPs"
