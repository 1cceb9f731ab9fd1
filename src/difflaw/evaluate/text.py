"""`difflaw.bound`: how well a trained model predicts a given text, in nats per token and bits per byte."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from difflaw.errors import InputError
from difflaw.evaluate.bound import validation_bound
from difflaw.training.loaded import LoadedModel, load

PASSES = 256
"""Passes over the network that a short text is given by default, so that its error is a few per cent."""


@dataclass(frozen=True)
class TextBound:
    """Bound on a text's negative log-likelihood; ``standard_error`` is that of the noise drawn; the text is given."""

    bound: float
    """Nats per token."""
    standard_error: float
    exact: bool
    """Whether the bound is the exact negative log-likelihood (autoregressive: no noise, no error)."""
    tokens: int
    """Tokens that were scored, an end-of-text token behind each text included."""
    bytes: int
    """UTF-8 bytes of the text; 0 where token ids were given."""

    @property
    def bits_per_byte(self) -> float:
        """The bound in bits per byte of text; NaN for token ids."""
        return self.bound * self.tokens / (math.log(2.0) * self.bytes) if self.bytes else math.nan

    @property
    def perplexity(self) -> float:
        """Exp of the bound: an upper bound on the perplexity per token."""
        return math.exp(self.bound)


def bound(
    model: LoadedModel | str | Path,
    text: str | Sequence[str] | Sequence[int],
    *,
    draws: int | None = None,
    seed: int = 0,
) -> TextBound:
    """Bound of a model on a text: stratified λ, common random numbers, no prompt.

    >>> import difflaw
    >>> model = difflaw.load(difflaw.example_run())
    >>> found = difflaw.bound(model, [4, 5, 6, 7] * 8)  # token ids; with a tokenizer: difflaw.bound(model, "some text")
    >>> found.tokens, found.standard_error < 0.5
    (33, True)

    The text is tokenised, an end-of-text token put behind each piece, and cut into rows of the model's context as in
    training. Each row is noised ``draws`` times. As in validation, prior and reconstruction terms beyond the family's
    range of λ are left out, as in 2512.10858 (α = 1.2e-4 at each end).

    Args:
        model: what `difflaw.load` returns, or what it takes.
        text: a text, several texts, or token ids.
        draws: noise draws of each row; default so that at least 256 rows are read in all. Exact families need one.
        seed: of the noise: two models with the same seed see the same noise.

    Raises:
        InputError: a model without a tokenizer for text, an empty text, ids outside the vocabulary.
    """
    model = model if isinstance(model, LoadedModel) else load(model)
    ids, size = _tokens(model, text)
    rows = _rows(ids, model.config.context, model.family.block_length or 1)
    count = 1 if model.family.exact else draws or max(4, -(-PASSES // len(rows)))
    if count < 1 or (count < 2 and not model.family.exact):
        raise InputError(f"draws: {count}; a row needs at least 2, so that its error is known")
    total = variance = 0.0
    for number, row in enumerate(rows):
        repeated = np.repeat(row[None, :], count, 0)
        found = validation_bound(model.model, model.family, repeated, seed=seed + number, micro_batch=32)
        total += found.nats * len(row)
        variance += 0.0 if model.family.exact else (found.standard_error * len(row)) ** 2
    tokens = sum(len(row) for row in rows)
    return TextBound(total / tokens, math.sqrt(variance) / tokens, model.family.exact, tokens, size)


def _tokens(model: LoadedModel, text: str | Sequence[str] | Sequence[int]) -> tuple[np.ndarray, int]:
    """(token ids with an end-of-text token behind each piece, UTF-8 bytes of the text)."""
    pieces = [text] if isinstance(text, str) else list(text)
    if pieces and not isinstance(pieces[0], str):
        ids = np.array([*map(int, pieces), model.eos_id], dtype=np.int64)  # type: ignore[arg-type]
        outside = (ids < 0) | (ids >= model.config.vocab_size)
        if outside.any():
            raise InputError(f"text: id {ids[outside][0]} lies outside the vocabulary of {model.config.vocab_size}")
        return ids, 0
    texts = [str(piece) for piece in pieces if piece]
    if not texts:
        raise InputError("text: is empty; give some text, or token ids")
    if model.tokenizer is None:
        raise InputError("text: this model has no tokenizer; give token ids")
    encoded = [[*model.tokenizer.encode(piece, add_special_tokens=False).ids, model.eos_id] for piece in texts]
    return np.array([i for ids in encoded for i in ids], dtype=np.int64), sum(len(t.encode()) for t in texts)


def _rows(ids: np.ndarray, context: int, block: int) -> list[np.ndarray]:
    """Rows of the context, and what is left as a shorter one, cut to whole blocks where the family has them."""
    rows = [ids[start : start + context] for start in range(0, len(ids), context)]
    last = len(rows[-1]) // block * block
    rows[-1] = rows[-1][:last]
    rows = [row for row in rows if len(row)]
    if not rows:
        raise InputError(f"text: {len(ids)} tokens, and the model reads whole blocks of {block}; give more text")
    return rows
