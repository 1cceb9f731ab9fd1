"""Learning-rate sweeps found in a table: the final loss at each rate, everything else equal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from difflaw.formatting import short_count
from difflaw.report.runs import RunCurve


@dataclass(frozen=True)
class RateSweep:
    """Loss against learning rate for one size and batch, all at the same number of tokens."""

    family: str
    label: str
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """Mean over seeds at each rate."""
    points: tuple[tuple[float, float], ...]
    diverged: tuple[float, ...]
    """Rates whose run of this shape and batch diverged or failed."""


def rate_sweeps(curves: Iterable[RunCurve]) -> list[RateSweep]:
    """Every (family, width, depth, batch, final tokens) at which two or more learning rates finished."""
    tried = [curve for curve in curves if math.isfinite(curve.rate) and curve.rate > 0]
    groups: dict[tuple[str, str, str], list[RunCurve]] = {}
    for curve in tried:
        if curve.status == "done" and len(curve.loss):
            # Runs of one horizon can differ by a step: three digits, as printed, call them equal.
            groups.setdefault((curve.family, _shape(curve), short_count(curve.tokens[-1])), []).append(curve)
    sweeps = []
    for (family, shape, horizon), group in groups.items():
        losses: dict[float, list[float]] = {}
        for curve in group:
            losses.setdefault(curve.rate, []).append(float(curve.loss[-1]))
        if len(losses) < 2:
            continue
        rates = tuple(sorted(losses))
        broken = {c.rate for c in tried if c.broken and c.family == family and _shape(c) == shape}
        sweeps.append(
            RateSweep(
                family=family,
                label=", ".join(part for part in (shape, f"{horizon} tokens") if part),
                rates=rates,
                losses=tuple(sum(losses[rate]) / len(losses[rate]) for rate in rates),
                points=tuple((curve.rate, float(curve.loss[-1])) for curve in group),
                diverged=tuple(sorted(broken)),
            )
        )
    return sweeps


def _shape(curve: RunCurve) -> str:
    parts = []
    if math.isfinite(curve.width) and math.isfinite(curve.depth):
        parts.append(f"{int(curve.width)}×{int(curve.depth)}")
    elif math.isfinite(curve.params):
        parts.append(f"{short_count(curve.params)} parameters")
    if math.isfinite(curve.batch_tokens):
        parts.append(f"batch {short_count(curve.batch_tokens)}")
    return ", ".join(parts)
