"""Sizes, FLOPs per token and budgets as values that carry their convention; mixing two is an error.

Counting alone moves a fitted exponent from .84 to .60 (Porian et al. 2024), so a bare float that could be either is
never passed on. Converting needs to know the shape of the model; the one rule that needs none is M = 6·N.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from difflaw.errors import InputError

UNSTATED = "unstated"
PARAMETER_CONVENTIONS = {
    "non-embedding": "hidden matrices, biases, norm gains and sinks; no embedding, no head",
    "non-embedding+head": "everything but the input embedding (2602.15014's axis; Porian et al.'s standard count)",
    "matrices": "12·L·d²: hidden matrices only",
    "notebook": "L(12d² + 14d) + d: the first paper's formula, which counts 3·L·d too much",
    "total": "everything that is trained",
}
FLOP_CONVENTIONS = {
    "matmul+head": "exact matrix products: hidden, attention (sink included), output matrix",
    "matmul": "exact matrix products without the output matrix",
    "method-1": "72·L·d² + 12·L·d·n (DeepSeek; the first paper's Method 1), n the context",
    "method-2": "6·P with P non-embedding (Chinchilla; the first paper's Method 2)",
    "6N": "6·P with P non-embedding, the usual name of method-2",
    "6N+head": "6·(P + d·V)",
    "6N+attention": "6·P + 12·L·d·n",
}
SAME = {"method-2": "6N"}
"""Two names of one count."""
TOLERANCE = 0.02
"""How far a value may lie from its shape's own count before the shape is called another model's."""


class Counts(Protocol):
    """A shape that can be counted every way, such as `difflaw.model.accounting.Account`."""

    def params(self, convention: str) -> int:
        """Parameters under a named convention."""
        ...

    def flops_per_token(self, convention: str) -> float:
        """Training FLOPs per token under a named convention."""
        ...


@dataclass(frozen=True)
class _Quantity:
    value: float
    convention: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value > 0):
            raise InputError(f"{self._what()}: {self.value!r} is not a positive finite number")
        if self.convention not in self._known() and self.convention != UNSTATED:
            raise InputError(
                f"{self._what()}: unknown convention '{self.convention}'; use one of {', '.join(self._known())}"
            )

    @classmethod
    def _what(cls) -> str:
        return "quantity"

    @classmethod
    def _known(cls) -> dict[str, str]:
        return {}

    def _same(self, other: _Quantity) -> None:
        if UNSTATED in (self.convention, other.convention) or _canonical(self) != _canonical(other):
            raise InputError(
                f"{self._what()} counted as '{self.convention}' and {other._what()} counted as '{other.convention}' "
                "cannot be combined; convert one with .to(convention, shape)"
            )

    def _needs(self, counts: Counts | None, convention: str) -> Counts:
        if UNSTATED in (self.convention, convention):
            raise InputError(f"{self._what()} of unstated counting cannot be converted; say how they were counted")
        if counts is None:
            raise InputError(
                f"{self._what()} from '{self.convention}' to '{convention}' needs the model's shape (layers, width, "
                "vocabulary, context): the ratio is not a constant"
            )
        return counts


def _canonical(quantity: _Quantity) -> str:
    return SAME.get(quantity.convention, quantity.convention)


@dataclass(frozen=True)
class Params(_Quantity):
    """A number of parameters N under one of `PARAMETER_CONVENTIONS`."""

    @classmethod
    def _what(cls) -> str:
        return "parameters"

    @classmethod
    def _known(cls) -> dict[str, str]:
        return PARAMETER_CONVENTIONS

    def to(self, convention: str, counts: Counts | None = None) -> Params:
        """The same model counted otherwise; InputError without its shape, or with the shape of another model."""
        if _canonical(self) == SAME.get(convention, convention):
            return Params(self.value, convention)
        counts = self._needs(counts, convention)
        _check_shape(self, counts.params(self.convention))
        return Params(float(counts.params(convention)), convention)

    def six_n(self) -> FlopsPerToken:
        """M = 6·N, the rule of Kaplan and Hoffmann; only for a count that has FLOPs of that name."""
        names = {"non-embedding": "6N", "non-embedding+head": "6N+head"}
        if self.convention not in names:
            raise InputError(f"6·N is defined for {' and '.join(names)} parameters, not for '{self.convention}'")
        return FlopsPerToken(6.0 * self.value, names[self.convention])

    def __truediv__(self, other: Params) -> float:
        self._same(other)
        return self.value / other.value


@dataclass(frozen=True)
class FlopsPerToken(_Quantity):
    """Training FLOPs per token M (forward and backward) under one of `FLOP_CONVENTIONS`."""

    @classmethod
    def _what(cls) -> str:
        return "FLOPs per token"

    @classmethod
    def _known(cls) -> dict[str, str]:
        return FLOP_CONVENTIONS

    def to(self, convention: str, counts: Counts | None = None) -> FlopsPerToken:
        """The same model counted otherwise; InputError without its shape, or with the shape of another model."""
        if _canonical(self) == SAME.get(convention, convention):
            return FlopsPerToken(self.value, convention)
        counts = self._needs(counts, convention)
        _check_shape(self, counts.flops_per_token(self.convention))
        return FlopsPerToken(counts.flops_per_token(convention), convention)

    def __mul__(self, tokens: float) -> Flops:
        return Flops(self.value * tokens, self.convention)

    def __truediv__(self, other: FlopsPerToken) -> float:
        self._same(other)
        return self.value / other.value


@dataclass(frozen=True)
class Flops(_Quantity):
    """Training FLOPs C of a whole run under one of `FLOP_CONVENTIONS`."""

    @classmethod
    def _what(cls) -> str:
        return "FLOPs"

    @classmethod
    def _known(cls) -> dict[str, str]:
        return FLOP_CONVENTIONS

    def to(self, convention: str, counts: Counts | None = None) -> Flops:
        """The same run counted otherwise: C·M'/M for the shape that was trained; InputError without it."""
        if _canonical(self) == SAME.get(convention, convention):
            return Flops(self.value, convention)
        counts = self._needs(counts, convention)
        ratio = counts.flops_per_token(convention) / counts.flops_per_token(self.convention)
        return Flops(self.value * ratio, convention)

    def tokens(self, per_token: FlopsPerToken) -> float:
        """D = C/M; InputError where the two are counted differently."""
        self._same(per_token)
        return self.value / per_token.value

    def __truediv__(self, other: Flops) -> float:
        self._same(other)
        return self.value / other.value

    def __add__(self, other: Flops) -> Flops:
        self._same(other)
        return Flops(self.value + other.value, self.convention)


def _check_shape(quantity: _Quantity, counted: float) -> None:
    if abs(math.log(counted / quantity.value)) > TOLERANCE:
        raise InputError(
            f"{quantity._what()}: the shape given counts {counted:.4g} as '{quantity.convention}', "
            f"not {quantity.value:.4g}; give the shape of this model"
        )
