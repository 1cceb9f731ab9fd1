"""The named ways of counting parameters and FLOPs, and what a model shape must offer to be counted by them.

Counting alone moves a fitted exponent from .84 to .60 (Porian et al. 2024, 2406.19146), so tables, laws and plans name
the convention of their sizes and FLOPs. Converting between two needs the model's shape.
"""

from __future__ import annotations

from typing import Protocol

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


class Counts(Protocol):
    """A shape that can be counted every way, such as `difflaw.model.accounting.Account`."""

    def params(self, convention: str) -> int:
        """Parameters under a named convention."""
        ...

    def flops_per_token(self, convention: str) -> float:
        """Training FLOPs per token under a named convention."""
        ...
