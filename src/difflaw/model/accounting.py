"""Parameters by group and FLOPs by term, each summed under a named convention; never a bare number.

FLOPs are per token, forward and backward (three times forward), one multiply-add counted as two. Conventions
change fitted exponents by more than their intervals (Porian et al., 2406.19146), so every
run records what was used.
"""

from __future__ import annotations

from dataclasses import dataclass

from difflaw.conventions import FLOP_CONVENTIONS, PARAMETER_CONVENTIONS
from difflaw.model.config import CONDITION_WIDTH, SINUSOIDS, ModelConfig

__all__ = ["FLOP_CONVENTIONS", "PARAMETER_CONVENTIONS", "Account", "account"]


@dataclass(frozen=True)
class Account:
    """Parameters by group, FLOPs per token by term, and their sums by convention."""

    parameters: dict[str, int]
    flop_terms: dict[str, float]
    context: int
    layers: int
    width: int
    reads: float = 1.0
    """Positions the body works on per scored token: 2 for a pass over [noisy ; clean]."""
    pairs: float = 1.0
    """Query-key pairs per scored token, in units of the context: 4 for a pass over [noisy ; clean]."""

    def params(self, convention: str = "non-embedding") -> int:
        """Number of parameters under a named convention; KeyError names the known ones."""
        non_embedding = sum(n for group, n in self.parameters.items() if group not in ("embedding", "head"))
        layers, width = self.layers, self.width
        inner = self.parameters["feed-forward"] // (2 * layers * width)
        known = {
            "non-embedding": non_embedding,
            "non-embedding+head": non_embedding + self.parameters["head"],
            "matrices": self.parameters["attention"] + self.parameters["feed-forward"],
            "notebook": layers * (4 * width**2 + 2 * width * inner + 6 * width + 2 * inner) + width,
            "total": sum(self.parameters.values()),
        }
        return known[_known(convention, PARAMETER_CONVENTIONS)]

    def flops_per_token(self, convention: str = "matmul+head") -> float:
        """M, forward and backward FLOPs per token under a named convention."""
        body = 6.0 * self.reads * self.params("non-embedding")
        attention = 12.0 * self.layers * self.width * self.context * self.pairs
        squares = self.params("matrices") / (self.layers * self.width**2)  # 12, where the feed-forward part is 4·width
        known = {
            "matmul+head": sum(self.flop_terms.values()),
            "matmul": sum(self.flop_terms.values()) - self.flop_terms["head"],
            "method-1": 6.0 * squares * self.reads * self.layers * self.width**2 + attention,
            "method-2": body,
            "6N": body,
            "6N+head": body + self.flop_terms["head"],
            "6N+attention": body + attention,
        }
        return known[_known(convention, FLOP_CONVENTIONS)]

    def record(self) -> dict[str, object]:
        """All groups, terms and sums, as written into a run's config and summary."""
        return {
            "parameters": dict(self.parameters),
            "params": {name: self.params(name) for name in PARAMETER_CONVENTIONS},
            "flop_terms": dict(self.flop_terms),
            "flops_per_token": {name: self.flops_per_token(name) for name in FLOP_CONVENTIONS},
        }


def _known(convention: str, conventions: dict[str, str]) -> str:
    if convention not in conventions:
        raise KeyError(f"unknown convention {convention!r}: use one of {', '.join(conventions)}")
    return convention


def account(config: ModelConfig, passes: tuple[tuple[float, int], ...] = ((1.0, 1),)) -> Account:
    """Count a model without building it (pure in the config).

    ``passes`` are a family's (share of the sequences, length of their pass in contexts); the head reads only the
    scored positions.
    """
    layers, width, vocabulary, context = config.layers, config.width, config.vocab_size, config.context
    inner = config.inner_width
    norms = 2 * layers * width + width + (2 * layers * width if config.qk_norm else 0)
    parameters = {
        "embedding": vocabulary * width,
        "head": 0 if config.tied else vocabulary * width,
        "attention": 4 * layers * width**2,
        "feed-forward": 2 * layers * width * inner,
        "biases": layers * (inner + width) if config.mlp_bias else 0,
        "norms": norms,
        "sinks": 2 * layers * width if config.sink else 0,
    }
    sink = 1 if config.sink else 0
    reads = sum(share * length for share, length in passes)
    pairs = sum(share * length**2 for share, length in passes)
    flop_terms = {
        "projections": 6.0 * 4 * layers * width**2 * reads,
        "attention": 6.0 * 2 * layers * width * (pairs * context + reads * sink),
        "feed-forward": 6.0 * 2 * layers * width * inner * reads,
        "head": 6.0 * vocabulary * width,
    }
    if config.adaln:
        matrices = SINUSOIDS * CONDITION_WIDTH + CONDITION_WIDTH**2 + CONDITION_WIDTH * width * (6 * layers + 2)
        parameters["conditioning"] = matrices + 2 * CONDITION_WIDTH + width * (6 * layers + 2)
        flop_terms["conditioning"] = 6.0 * matrices / context  # once a sequence
    return Account(parameters, flop_terms, context, layers, width, reads, pairs)
