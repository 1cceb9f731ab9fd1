"""What the page of `difflaw fit TABLE -o DIR` says beyond laws and table."""

from __future__ import annotations

from difflaw.law.document import Laws
from difflaw.law.table import Table
from difflaw.report.page import ReportContext


def fit_context(laws: Laws, table: Table, name: str) -> ReportContext:
    """The page's context: title, reading, checklist, odds and laws of batch, rate and repeated data."""
    return ReportContext(
        title=f"Laws of {name}",
        corpus=f"{len(table.frame):,} rows of {len(table.families)} "
        + ("family" if len(table.families) == 1 else "families"),
        reading=list(laws.reading),
        params_convention=table.params_convention,
        flops_convention=table.flops_convention,
        entropy_floor=laws.options.get("known_entropy"),
        checklist=[vars(item) for item in laws.checklist],
        beyond=laws.extras,
    )
