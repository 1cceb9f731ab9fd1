"""Published exponents in the one form the page prints, whoever handed them in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

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


def published_exponents(records: Iterable[Any]) -> list[PublishedExponent]:
    """Records as the page wants them.

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
