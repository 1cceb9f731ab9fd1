"""Documents in, one flat file of token ids out."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from difflaw.data.special import EOS_ID
from difflaw.data.tokenizer import cut_text, encode_texts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BATCH_CHARACTERS = 4 << 20


def token_dtype(vocab_size: int) -> np.dtype:
    """Little-endian uint16 where every id fits, else uint32."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")


class TokenFile:
    """A file of token ids being written, with what must be known about it afterwards.

    Attributes:
        tokens: written so far. bytes: UTF-8 bytes of the text they stand for. documents: ended so far.
        counts_V: how often each id occurs (int64).
    """

    def __init__(self, path: Path, vocab_size: int) -> None:
        self._file = path.open("wb")
        self._dtype = token_dtype(vocab_size)
        self.tokens = 0
        self.bytes = 0
        self.documents = 0
        self.counts_V = np.zeros(vocab_size, dtype=np.int64)

    def write(self, ids_N: np.ndarray, text_bytes: int) -> None:
        """Append token ids."""
        self._file.write(ids_N.astype(self._dtype).tobytes())
        self.counts_V += np.bincount(ids_N, minlength=len(self.counts_V))
        self.tokens += len(ids_N)
        self.bytes += text_bytes

    def close(self) -> None:
        """Flush and close."""
        self._file.close()


def encode_documents(
    tokenizer: "Tokenizer",
    documents: Iterable[tuple[TokenFile, str]],
    on_batch: Callable[[], None] = lambda: None,
) -> None:
    """Write each document's tokens and an end-of-text token to its file, in order, a few megabytes at a time."""
    batch: list[tuple[TokenFile, str, bool]] = []
    characters = 0
    for file, text in documents:
        pieces = list(cut_text(text))
        for place, piece in enumerate(pieces, start=1):
            batch.append((file, piece, place == len(pieces)))
            characters += len(piece)
            if characters >= _BATCH_CHARACTERS:
                _write_batch(tokenizer, batch)
                batch, characters = [], 0
                on_batch()
    _write_batch(tokenizer, batch)


def _write_batch(tokenizer: "Tokenizer", batch: list[tuple[TokenFile, str, bool]]) -> None:
    encoded = encode_texts(tokenizer, [piece for _, piece, _ in batch])
    for (file, piece, ends_document), ids in zip(batch, encoded, strict=True):
        if ends_document:
            ids.append(EOS_ID)
            file.documents += 1
        file.write(np.array(ids, dtype=np.int64), len(piece.encode()))


def unigram_cross_entropy(train_counts_V: np.ndarray, validation_counts_V: np.ndarray) -> float:
    """Nats per validation token under the training frequencies with one added to each count: what counting buys."""
    log_p_V = np.log(train_counts_V + 1.0) - np.log(train_counts_V.sum() + len(train_counts_V))
    return float(-(validation_counts_V * log_p_V).sum() / validation_counts_V.sum())
