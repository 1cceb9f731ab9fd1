"""Exponents measured here next to those published for the same family and quantity, whoever handed them in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from difflaw.formatting import UNKNOWN, fixed, scientific, with_interval
from difflaw.law.results import FamilyLaws, FittedFamilies, PowerLaw
from difflaw.report.cells import Cell, Citation, Grid, family_cell, grid
from difflaw.report.colours import canonical, in_order

QUANTITIES = {
    "params": "size N* ∝ C^a",
    "tokens": "tokens D* ∝ C^b",
    "flops_per_token": "FLOPs per token M* ∝ C^m",
    "loss": "loss L* ∝ C^x",
    "token_bound_loss": "loss L ∝ D^x, tokens as the limit",
}


@dataclass(frozen=True)
class PublishedExponent:
    """One published exponent; ``quantity`` is a key of ``QUANTITIES``, ``low`` and ``high`` None where not printed."""

    family: str
    quantity: str
    exponent: float
    low: float | None
    high: float | None
    convention: str
    source: str
    checked: str = ""


@dataclass(frozen=True)
class ExponentTables:
    """Measured and published side by side, what was published of other families (None for nothing), numbered notes."""

    measured: Grid
    others: Grid | None
    notes: tuple[str, ...]


def published_exponents(records: Iterable[Any]) -> list[PublishedExponent]:
    """Records as the page takes them.

    Taken are ``difflaw.law.PublishedLaw`` (y, x, interval) and anything with the attributes of ``PublishedExponent``.
    A law of something the page has no row for is left out.
    """
    found = []
    for record in records:
        if hasattr(record, "quantity"):
            quantity, low, high = record.quantity, record.low, record.high
        else:
            quantity = (
                record.y if record.x == "flops" else {("loss", "tokens"): "token_bound_loss"}.get((record.y, record.x))
            )
            low, high = record.interval or (None, None)
        if quantity in QUANTITIES:
            checked = str(getattr(record, "checked", ""))
            fields = (record.family, quantity, record.exponent, low, high, record.convention, record.source, checked)
            found.append(PublishedExponent(*fields))
    return found


def exponent_tables(laws: FittedFamilies, published: Iterable[PublishedExponent]) -> ExponentTables:
    """The tables of measured and published exponents, with how each was counted."""
    known: dict[tuple[str, str], list[PublishedExponent]] = {}
    for record in published:
        known.setdefault((canonical(record.family), record.quantity), []).append(record)
    notes, rows = _Notes(), []
    for family in in_order(laws.families):
        for quantity, law in _laws_of(laws.families[family]).items():
            theirs = notes.cell(known.pop((canonical(family), quantity), []))
            if law is not None or theirs.citations:
                ours, *rest = _measured(law)
                published_ = theirs if theirs.citations else UNKNOWN
                rows.append([family_cell(family), QUANTITIES[quantity], ours, published_, *rest])
    headers = ["Family", "Law", "Exponent here", "Published", "Points", "Fitted over", "RMS misfit in ln"]
    measured = grid("Exponents, measured and published", headers, rows, numeric=(4, 6))
    others = [
        [family_cell(family), QUANTITIES[quantity], notes.cell(records)]
        for (family, quantity), records in known.items()
    ]
    title = "Published exponents without a counterpart here"
    other = grid(title, ["Family", "Law", "Published"], others) if others else None
    return ExponentTables(measured, other, tuple(notes.texts))


class _Notes:
    """Numbers the conventions of the papers, so that a long sentence is printed once and not in every row."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def cell(self, records: Iterable[PublishedExponent]) -> Cell:
        return Cell(citations=tuple(self._cite(record) for record in records))

    def _cite(self, record: PublishedExponent) -> Citation:
        text = f"{record.source}: {record.convention}" + (
            f". How it was read: {record.checked}" if record.checked else ""
        )
        if text not in self.texts:
            self.texts.append(text)
        value = with_interval(record.exponent, record.low, record.high)
        return Citation(value, record.source, self.texts.index(text) + 1)


def _laws_of(fit: FamilyLaws) -> dict[str, PowerLaw | None]:
    """A family's power laws under the names published exponents use."""
    return {
        "params": fit.params_law,
        "tokens": fit.tokens_law,
        "flops_per_token": fit.flops_per_token_law,
        "loss": fit.loss_law,
        "token_bound_loss": fit.token_bound_law,
    }


def _measured(law: PowerLaw | None) -> tuple[object, ...]:
    """Exponent, points, range and misfit of a law."""
    if law is None:
        return ("not fitted", UNKNOWN, UNKNOWN, UNKNOWN)
    interval = law.interval
    text = with_interval(law.exponent, interval.low, interval.high) if interval else fixed(law.exponent)
    kind = f"{interval.level:.0%} {interval.kind}" if interval else "no interval: too few points"
    fitted = f"{scientific(law.x_range[0])} to {scientific(law.x_range[1])}"
    return (Cell(text, note=kind, strong=True), law.points, fitted, fixed(law.rmse_log, 4))
