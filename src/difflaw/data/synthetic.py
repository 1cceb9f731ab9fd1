"""A source of tokens whose entropy is known exactly: an order-1 Markov chain.

No family can get below its entropy, so the distance to the floor is exact, not fitted.
Shapes: K symbols, N tokens.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from difflaw.data.config import SyntheticConfig
from difflaw.data.special import SPECIAL_TOKENS
from difflaw.errors import InputError

FIRST_SYMBOL = len(SPECIAL_TOKENS)
"""Symbol 0 is this token id."""

_LEAK = 1e-3  # share of every row that is uniform: no state is out of reach, so the stationary distribution is unique
_DRAWS_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class MarkovChain:
    """An irreducible, aperiodic chain.

    Attributes:
        transition_KK: row i is the distribution of the symbol after i.
    """

    transition_KK: np.ndarray

    @cached_property
    def stationary_K(self) -> np.ndarray:
        """π with πP = π, Σπ = 1 (least squares on both conditions at once)."""
        symbols = len(self.transition_KK)
        conditions = np.vstack([self.transition_KK.T - np.eye(symbols), np.ones(symbols)])
        target = np.append(np.zeros(symbols), 1.0)
        solution = np.linalg.lstsq(conditions, target, rcond=None)[0].clip(min=0)
        return solution / solution.sum()

    @cached_property
    def marginal_entropy(self) -> float:
        """H(π), nats: the entropy of one token that nothing is known about."""
        return float(_entropy(self.stationary_K))

    @cached_property
    def entropy_rate(self) -> float:
        """H = Σ_i π_i H(P_i), nats per token: the entropy of a token after its predecessor."""
        return float(self.stationary_K @ _entropy(self.transition_KK))

    def entropy_floor(self, context: int) -> float:
        """Least possible bound on separate chunks of `context` tokens, nats per token: (H(π) + (L-1) h) / L."""
        return entropy_floor(self.marginal_entropy, self.entropy_rate, context)

    def sample(self, tokens: int, rng: np.random.Generator) -> np.ndarray:
        """One chain of N symbols in 0..K-1 without a seam, started from π. int64, shape (N,)."""
        # Inverse CDF, one draw a token. Without the last entry, a draw above every threshold is symbol K-1.
        thresholds = [row[:-1].tolist() for row in np.cumsum(self.transition_KK, axis=1)]
        start = np.cumsum(self.stationary_K)[:-1].tolist()
        out_N = np.empty(tokens, dtype=np.int64)
        row = start
        for first in range(0, tokens, _DRAWS_AT_ONCE):
            last = min(first + _DRAWS_AT_ONCE, tokens)
            symbols = []
            for draw in rng.random(last - first).tolist():
                symbol = bisect_right(row, draw)
                symbols.append(symbol)
                row = thresholds[symbol]
            out_N[first:last] = symbols
        return out_N


def entropy_floor(marginal_entropy: float, entropy_rate: float, context: int) -> float:
    """(H(π) + (L-1) h) / L, nats per token, for chunks of L = `context` tokens of a stationary order-1 chain.

    Raises:
        InputError: a context below one token.
    """
    if context < 1:
        raise InputError(f"context {context}: an entropy floor needs chunks of at least one token")
    return (marginal_entropy + (context - 1) * entropy_rate) / context


def make_chain(config: SyntheticConfig) -> MarkovChain:
    """The chain a configuration describes: rows ~ Dirichlet(concentration), a thousandth of each row made uniform."""
    rng = np.random.default_rng(np.random.SeedSequence(config.seed).spawn(1)[0])
    rows_KK = rng.dirichlet(np.full(config.symbols, config.concentration), size=config.symbols)
    return MarkovChain((1 - _LEAK) * rows_KK + _LEAK / config.symbols)


def make_tokens(config: SyntheticConfig, validation_fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation token ids (int64, 1-D), two independent chains with the same transition matrix."""
    chain = make_chain(config)
    _, train_seed, validation_seed = np.random.SeedSequence(config.seed).spawn(3)
    validation_tokens = max(1, round(config.tokens * validation_fraction))
    train_N = chain.sample(config.tokens, np.random.default_rng(train_seed))
    validation_N = chain.sample(validation_tokens, np.random.default_rng(validation_seed))
    return train_N + FIRST_SYMBOL, validation_N + FIRST_SYMBOL


def _entropy(distributions: np.ndarray) -> np.ndarray:
    """-Σ p log p over the last axis, nats, with 0 log 0 = 0."""
    safe = np.where(distributions > 0, distributions, 1.0)
    return -(distributions * np.log(safe)).sum(axis=-1)
