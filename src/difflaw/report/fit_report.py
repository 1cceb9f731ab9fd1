"""What the page says of a fit, next to laws and table: its reading, its checklist, and what else was fitted."""

from __future__ import annotations

from difflaw.law.document import Laws
from difflaw.law.table import Table
from difflaw.report.page import ReportContext


def fitted_context(laws: Laws) -> ReportContext:
    """What every page with a fit says: reading, checklist, odds and laws of batch, rate and repeated data."""
    return ReportContext(
        reading=list(laws.reading),
        checklist=[vars(item) for item in laws.checklist],
        extras=laws.extras,
    )


def fit_context(laws: Laws, table: Table, name: str) -> ReportContext:
    """The context of the page of `difflaw fit TABLE -o DIR`."""
    families = f"{len(table.families)} " + ("family" if len(table.families) == 1 else "families")
    return fitted_context(laws) | ReportContext(
        title=f"Laws of {name}",
        corpus=f"{len(table.frame):,} rows of {families}",
        params_convention=table.params_convention,
        flops_convention=table.flops_convention,
        entropy_floor=laws.options.get("known_entropy"),
    )
