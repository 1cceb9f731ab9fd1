"""Batch size and learning rate from the first paper's laws (law.published), each printed with the paper it is from."""

from __future__ import annotations

from difflaw.law.published import Derived, published_set

SOURCE = "2512.10858, batch-size and learning-rate laws"

__all__ = ["SOURCE", "Derived", "batch_tokens", "learning_rate"]


def batch_tokens(tokens: float, family: str | None = None) -> Derived:
    """B*(D) in tokens for a horizon of D tokens: pooled over noise types, or the family's own law."""
    laws = published_set("gidd")
    own = laws.families.get(family) if family is not None else None
    rule, key = (own.batch, family) if own is not None and own.batch is not None else (laws.batch, "pooled")
    assert rule is not None  # the bundled file has it
    return Derived("batch_tokens", rule(tokens=tokens), f"{rule.formula} ({key}) at D = {tokens:.3g}", SOURCE)


def learning_rate(batch: float) -> Derived:
    """η*(B) for a batch of B tokens; η is CompleteP's base rate (hidden matrices learn at η/d)."""
    rule = published_set("gidd").lr
    assert rule is not None  # the bundled file has it
    return Derived("lr", rule(batch_tokens=batch), f"{rule.formula} at B = {batch:.4g}", SOURCE)
