"""Which tokens each step reads: a pure function of (seed, step), independent of the number of processes.

The tokens are cut into chunks of `context`. An epoch visits every chunk once, in its own order; sample i of the
whole run is entry i mod chunks of epoch i div chunks. No state is kept between calls, so a restarted run or a
different number of processes reads the same samples. A run with fewer unique tokens visits only the first chunks of
one fixed order, the same for every seed: so that the smaller of two such texts is part of the larger, and all of them
are spread over the whole.
Shapes: B samples, L = context tokens, N tokens.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from difflaw.errors import InputError

SUBSET_KEY = 2**127 + 2_507_15857
"""Of the one order that unique tokens are taken in; no (seed, epoch) has it, as no run sees 2^63 epochs."""


@dataclass(frozen=True, eq=False)
class Batches:
    """The samples of a run.

    Attributes:
        tokens: token ids, 1-D, any integer type; a memory map is read only where needed.
        context: tokens per sample.
        sequences: samples per step, over all processes.
        seed: of the order of chunks.
        unique: different tokens to train on, in whole chunks; None for all.

    Raises:
        InputError: fewer tokens than one chunk, or an invalid context, batch, seed or number of unique tokens.
    """

    tokens: np.ndarray
    context: int
    sequences: int
    seed: int
    unique: int | None = None

    def __post_init__(self) -> None:
        if self.sequences < 1:
            raise InputError(f"batch of {self.sequences} sequences: a step needs at least one")
        if not 0 <= self.seed < 2**64:
            raise InputError(f"data seed {self.seed}: it must be a whole number from 0 to 2^64 - 1")
        chunks = _count_chunks(self.tokens, self.context, "corpus")
        if self.unique is not None and not self.context <= self.unique <= chunks * self.context:
            raise InputError(
                f"unique_tokens {self.unique:,}: the text has {chunks * self.context:,} training tokens in whole "
                f"contexts of {self.context}; give from {self.context} to that many"
            )

    @property
    def chunks(self) -> int:
        """Samples in an epoch; a last incomplete chunk is never used."""
        return (len(self.tokens) if self.unique is None else self.unique) // self.context

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Step `step` (from 0): x_BL token ids (int64) and sample_index_B (int64), B = sequences."""
        return self.rows(step * self.sequences, self.sequences)

    def rows(self, first_index: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Samples first_index ... first_index + count - 1: x_BL (int64) and sample_index_B (int64), B = count.

        Process r of P takes `rows(step * sequences + r * sequences // P, sequences // P)`: in the order of r, the
        slices are exactly `batch(step)`.

        Raises:
            InputError: a negative index or count.
        """
        if first_index < 0 or count < 0:
            raise InputError(f"samples {first_index} ... +{count}: index and count must not be negative")
        index_B = np.arange(first_index, first_index + count, dtype=np.int64)
        epoch_B, place_B = np.divmod(index_B, self.chunks)
        chunk_B = np.empty_like(index_B)
        for epoch in np.unique(epoch_B).tolist():
            here_B = epoch_B == epoch
            chunk_B[here_B] = permutation(self.seed, epoch, self.chunks)[place_B[here_B]]
        if self.unique is not None:
            chunk_B = subset_order(len(self.tokens) // self.context)[chunk_B]
        return _take_chunks(self.tokens, self.context, chunk_B), index_B

    def epochs(self, tokens: int) -> float:
        """Passes over the data in training for `tokens` tokens."""
        return tokens / (self.chunks * self.context)


@lru_cache(maxsize=2)
def subset_order(chunks: int) -> np.ndarray:
    """All chunks in the order in which smaller texts take them (int64, read-only)."""
    order = np.random.Generator(np.random.Philox(key=SUBSET_KEY)).permutation(chunks)
    order.flags.writeable = False
    return order


@lru_cache(maxsize=2)
def permutation(seed: int, epoch: int, chunks: int) -> np.ndarray:
    """The order of chunks in an epoch (int64, read-only), from the counter-based Philox keyed by (seed, epoch)."""
    key = np.array([seed, epoch], dtype=np.uint64)
    order = np.random.Generator(np.random.Philox(key=key)).permutation(chunks)
    order.flags.writeable = False
    return order


def validation_rows(tokens: np.ndarray, context: int, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Up to `count` distinct chunks spread evenly over the validation tokens, the same at every call.

    Chunk i is drawn uniformly from the i-th of `count` equal stretches; all chunks, in order, if there are no more
    than `count`.

    Returns:
        x_BL token ids (int64) and chunk_B, the place of each chunk in the data (int64, increasing). chunk_B is a
        stable sample index for noise that all models share.

    Raises:
        InputError: fewer tokens than one chunk, or a count below one.
    """
    if count < 1:
        raise InputError(f"{count} validation sequences: at least one is needed")
    chunks = _count_chunks(tokens, context, "validation data")
    if chunks <= count:
        chunk_B = np.arange(chunks, dtype=np.int64)
    else:
        edges = np.arange(count + 1, dtype=np.int64) * chunks // count
        chunk_B = np.random.default_rng(seed).integers(edges[:-1], edges[1:])
    return _take_chunks(tokens, context, chunk_B), chunk_B


def _take_chunks(tokens: np.ndarray, context: int, chunk_B: np.ndarray) -> np.ndarray:
    chunks = len(tokens) // context
    return np.asarray(tokens[: chunks * context]).reshape(chunks, context)[chunk_B].astype(np.int64)


def _count_chunks(tokens: np.ndarray, context: int, what: str) -> int:
    if context < 1:
        raise InputError(f"context {context}: a sequence needs at least one token")
    if len(tokens) < context:
        raise InputError(
            f"{what} too small: {len(tokens)} tokens, but at least one chunk of context = {context} tokens is needed.\n"
            "Give more text or a shorter context."
        )
    return len(tokens) // context
