"""Batch size and learning rate from a law, each printed with the paper it comes from."""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "2512.10858, batch-size and learning-rate laws"

# Facts §9.4: ln B* = intercept + slope·ln D per noise type (B, D in tokens), and the pooled law; log10 intercepts.
_BATCH = {
    "pooled": (-2.4, 0.8225),
    "masked": (-1.932, 0.7759),
    "low-uniform": (-2.101, 0.7916),
    "balanced": (-2.539, 0.8373),
    "high-uniform": (-2.778, 0.8607),
    "uniform": (-2.950, 0.8787),
}
_RATE = (-2.06, 0.3412)


@dataclass(frozen=True)
class Derived:
    """A hyper-parameter that came from a rule: its value, the rule in words, the source."""

    name: str
    value: float
    rule: str
    source: str


def batch_tokens(tokens: float, family: str | None = None) -> Derived:
    """B*(D) in tokens for a horizon of D tokens: pooled over noise types, or the family's own law."""
    key = family if family in _BATCH else "pooled"
    intercept, slope = _BATCH[key]
    value = 10.0**intercept * tokens**slope
    return Derived("batch_tokens", value, f"B* = 10^{intercept:g}·D^{slope:g} ({key}) at D = {tokens:.3g}", SOURCE)


def learning_rate(batch: float) -> Derived:
    """η*(B) for a batch of B tokens; η is CompleteP's base rate (hidden matrices learn at η/d)."""
    intercept, slope = _RATE
    value = 10.0**intercept * batch**slope
    return Derived("lr", value, f"η* = 10^{intercept:g}·B^{slope:g} at B = {batch:.4g}", SOURCE)
