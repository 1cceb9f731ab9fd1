"""What the page of `difflaw fit TABLE -o DIR` says beyond laws and table."""

from __future__ import annotations

from difflaw.law.document import Fitted
from difflaw.report.page import ReportContext


def fit_context(fitted: Fitted, name: str) -> ReportContext:
    """The page's context: title, reading, checklist, odds and laws of batch, rate and repeated data."""
    table = fitted.table
    return ReportContext(
        title=f"Laws of {name}",
        corpus=f"{len(table.frame):,} rows of {len(table.families)} "
        + ("family" if len(table.families) == 1 else "families"),
        reading=fitted.reading,
        params_convention=table.params_convention,
        flops_convention=table.flops_convention,
        entropy_floor=fitted.options.get("known_entropy"),
        checklist=[vars(item) for item in fitted.checklist],
        beyond=fitted.extras,
    )
