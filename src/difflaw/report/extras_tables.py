"""Tables of the other laws: odds between families, batch and rate, repeated data."""

from __future__ import annotations

import math
from typing import Any

from difflaw.formatting import fixed, scientific, short_count, with_interval
from difflaw.report.cells import Grid, counted, family_cell, grid, span

COST = 0.0025
"""Share of the loss that the printed factor around a best batch or rate costs."""


def extras_tables(extras: Any) -> list[Grid]:
    """Tables of the parts that were fitted, of what `difflaw.law.extras` returns; empty where none was."""
    found = (batch_and_rate_table(extras), repeated_data_table(extras))
    return [table for table in found if table is not None]


def standings_table(laws: Any) -> Grid | None:
    """Chance of each family to have the lowest loss, by budget, of what `difflaw.law.fit_table` returns."""
    rows = []
    for at in getattr(laws, "standings", ()):
        for s in at.families:
            chance = f"{100 * s.probability:.0f} %"
            loss = f"{fixed(s.best_loss, 4)} {span(s.loss)}"
            rows.append(
                [
                    scientific(at.flops),
                    family_cell(s.family),
                    chance,
                    counted(s.best_flops_per_token, s.flops_per_token),
                    loss,
                ]
            )
    headers = ["FLOPs", "Family", "Chance of the lowest loss", "FLOPs per token M*, for the law", "Loss, for the law"]
    return (
        grid("Odds of the families, each law with what the others say of its exponents", headers, rows)
        if rows
        else None
    )


def batch_and_rate_table(extras: Any) -> Grid | None:
    """Best batch and learning rate of each family as laws, and how much leaving them costs."""
    rows = []
    for family, fit in extras.batch_and_rate.items():
        for what, key, intercept, exponents, curvature in (
            ("B*", "batch", fit.batch_intercept, fit.batch_exponents, fit.k_batch),
            ("η*", "rate", fit.rate_intercept, fit.rate_exponents, fit.k_rate),
        ):
            law = [scientific(math.exp(intercept))]
            for name, value in exponents.items():
                interval = fit.intervals.get(f"{key}:{name}")
                law.append(f"{name}^{with_interval(value, *((interval.low, interval.high) if interval else ()))}")
            factor = f"{math.exp(math.sqrt(COST / curvature)):.2g}"
            rows.append([family_cell(family), what, " · ".join(law), factor, "; ".join(fit.warnings)])
    headers = ["Family", "Best", "Law", "Factor that costs 0.25 %", "Remark"]
    return grid("Batch (tokens) and learning rate", headers, rows) if rows else None


def repeated_data_table(extras: Any) -> Grid | None:
    """After how many repeats data are worth little, by family."""
    rows = []
    for family, law in extras.repeated_data.items():
        life = f"above {short_count(law.half_life_at_least)}"
        if law.half_life is not None and law.half_life_interval is not None:
            life = counted(law.half_life, law.half_life_interval)
        rows.append([family_cell(family), law.form, life, short_count(law.most_epochs), "; ".join(law.warnings)])
    headers = ["Family", "Form", "R*, repeats", "Most epochs run", "Remark"]
    return grid("Repeated data: repeats after which they are worth little", headers, rows) if rows else None
