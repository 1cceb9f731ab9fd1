"""A byte-level BPE vocabulary trained on the corpus itself: lossless on any text, special tokens first."""

import hashlib
import heapq
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflaw.data.config import SMALLEST_VOCABULARY
from difflaw.data.special import SPECIAL_TOKENS
from difflaw.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SAMPLE_BYTES = 20_000_000
"""Text that a vocabulary is trained on, at most (more for a vocabulary above 20,000: see `sample_bytes`)."""

PIECE_CHARACTERS = 1 << 20
"""Longer documents are encoded in pieces of about this many characters, so that one huge file needs little memory."""

_TRAINING_PIECE_CHARACTERS = 2048  # training takes time quadratic in the longest "word", e.g. a line of base64

_WORD_START = re.compile(r"(?<=[A-Za-z0-9]) (?=[A-Za-z])")


class TrainingSample:
    """A random part of a stream of documents that depends on their text alone: the lowest hashes win.

    Keeps the documents of lowest rank (bytes 8-15 of a digest of their text) whose UTF-8 lengths sum to at most
    `max_bytes`; one longer document is cut. Holds no more than that in memory.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.total_bytes = 0
        self._heap: list[tuple[int, int, int, str, bytes]] = []  # (-rank, arrival, bytes, text, digest)
        self._arrivals = 0

    def add(self, text: str, digest: bytes) -> None:
        """Offer a document and a digest (16 bytes) of its text."""
        encoded = text.encode()
        rank = -int.from_bytes(digest[8:16], "big")
        is_full = bool(self._heap) and self.total_bytes + len(encoded) > self.max_bytes
        if is_full and rank < self._heap[0][0]:
            return
        if len(encoded) > self.max_bytes:
            encoded = encoded[: self.max_bytes]
            text = encoded.decode(errors="ignore")
        heapq.heappush(self._heap, (rank, self._arrivals, len(encoded), text, digest))
        self._arrivals += 1
        self.total_bytes += len(encoded)
        while self.total_bytes > self.max_bytes:
            self.total_bytes -= heapq.heappop(self._heap)[2]

    def documents(self) -> list[tuple[str, bytes]]:
        """The (text, digest) of the documents kept, by rank: the digest is of the whole even where the text is cut."""
        return [entry[3:] for entry in sorted(self._heap, key=lambda entry: (-entry[0], entry[1]))]


def sample_bytes(vocab_size: int) -> int:
    """Text that a vocabulary of this size is trained on, at most: 20 MB, or 1 kB a token."""
    return max(SAMPLE_BYTES, 1000 * vocab_size)


def train_tokenizer(documents: Iterable[str], vocab_size: int) -> "Tokenizer":
    """Train a byte-level BPE vocabulary of exactly `vocab_size` tokens.

    Ids 0-3 are the special tokens, then the 256 bytes, then merges seen at least twice. Trained on a `TrainingSample`
    of the documents, so the same documents give the same vocabulary. The special strings are in the vocabulary but
    no text encodes to them.

    Raises:
        InputError: a vocabulary too small for all bytes, or larger than the text has merges for.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    if vocab_size < SMALLEST_VOCABULARY:
        raise InputError(
            f"vocab_size {vocab_size} is too small: {len(SPECIAL_TOKENS)} special tokens and 256 bytes need at least "
            f"{SMALLEST_VOCABULARY}"
        )
    sample = TrainingSample(sample_bytes(vocab_size))
    for text in documents:
        sample.add(text, hashlib.blake2b(text.encode(), digest_size=16).digest())
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer: Any = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = (piece for text, _ in sample.documents() for piece in cut_text(text, _TRAINING_PIECE_CHARACTERS))
    tokenizer.train_from_iterator(texts, trainer)
    found = tokenizer.get_vocab_size()
    if found < vocab_size:
        raise InputError(
            f"vocab_size {vocab_size} is larger than the corpus supports "
            f"({sample.total_bytes:,} bytes of text gave {found - SMALLEST_VOCABULARY:,} merges): "
            f"ask for at most {found}, or give more text"
        )
    # As "added tokens" the special strings would be cut out of any text that contains them, and the switch against
    # that (`encode_special_tokens`) is not saved. As plain vocabulary entries no merge leads to them.
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(state))


def load_tokenizer(path: Path) -> "Tokenizer":
    """Read a `tokenizer.json`.

    Raises:
        InputError: missing or damaged, or not one of ours (special tokens elsewhere than at ids 0-3).
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust side raises plain Exception
        raise InputError(f"{path}: not a tokenizer ({error})") from error
    ids = [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]
    if ids != list(range(len(SPECIAL_TOKENS))):
        raise InputError(f"{path}: ids 0-3 must be {' '.join(SPECIAL_TOKENS)}, found them at {ids}")
    return tokenizer


def encode_texts(tokenizer: "Tokenizer", texts: list[str]) -> list[list[int]]:
    """Token ids of each text, nothing added. Uses all cores unless TOKENIZERS_PARALLELISM=false."""
    encode: Any = getattr(tokenizer, "encode_batch_fast", tokenizer.encode_batch)  # without offsets, since 0.20
    return [encoding.ids for encoding in encode(texts, add_special_tokens=False)]


def decode_ids(tokenizer: "Tokenizer", ids: Iterable[int], keep_special: bool = False) -> str:
    """Text of token ids. Bytes that are not UTF-8 become U+FFFD.

    Args:
        tokenizer: the vocabulary.
        ids: token ids.
        keep_special: show special tokens as their strings; otherwise they are left out.
    """
    kept = [int(token) for token in ids if keep_special or int(token) >= len(SPECIAL_TOKENS)]
    return tokenizer.decode(kept, skip_special_tokens=False)


def cut_text(text: str, characters: int = PIECE_CHARACTERS) -> Iterator[str]:
    """The text in pieces of about `characters`, cut before a space where a word starts.

    Pre-tokenization always breaks there, so the pieces give exactly the tokens of the whole. Text without such a
    place in reach is cut anyway, which may cost a token and still loses nothing.
    """
    first = 0
    while len(text) - first > 2 * characters:
        place = _WORD_START.search(text, first + characters, first + 2 * characters)
        last = place.start() if place else first + characters
        yield text[first:last]
        first = last
    yield text[first:]
