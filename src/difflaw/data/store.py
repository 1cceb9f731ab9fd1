"""A prepared corpus: two memory-mapped files of token ids, their vocabulary and their statistics.

A store is a folder `cache_dir/<key>/` with `train.bin`, `validation.bin`, `tokenizer.json` (not for synthetic data) and
`meta.json`. The key is a hash of the documents and of every setting that changes a token, so an unchanged corpus is
found again, and a changed one gets another key.
"""

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from difflaw.data import synthetic
from difflaw.data.cache import publish, say_when_full
from difflaw.data.config import DataConfig, as_list
from difflaw.data.corpora import Source, describe_skipped, find_sources, read_documents
from difflaw.data.special import BOS_ID, EOS_ID, MASK_ID, PAD_ID
from difflaw.data.split import Split, choose_kind, document_digest, is_held_out
from difflaw.data.token_files import TokenFile, encode_documents, token_dtype, unigram_cross_entropy
from difflaw.data.tokenizer import TrainingSample, decode_ids, load_tokenizer, sample_bytes, train_tokenizer
from difflaw.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FORMAT = 1
"""Goes into every key: raise it when the same corpus would give other tokens."""

_META = "meta.json"
_SECONDS_BETWEEN_LINES = 5.0
Progress = Callable[[str], None]


@dataclass(frozen=True)
class TokenStore:
    """A prepared corpus.

    Attributes:
        folder: where it is; its name is the key of the content.
        corpus: a description.
        vocab_size: ids 0 ... vocab_size - 1, special tokens included.
        train_tokens, validation_tokens: an end-of-text token after each document included.
        train_bytes, validation_bytes: of the text in UTF-8. A synthetic symbol counts as one.
        train_documents, validation_documents: pieces of text that ended with an end-of-text token.
        unigram_entropy: nats per validation token under the training frequencies (add-one).
        split: how validation was chosen: "documents", "tails", "given" (`data/split.py`) or "chains" (synthetic).
        skipped: what was left out, by reason.
        entropy_rate, marginal_entropy: h and H(π) of a synthetic source, nats per token; None for text.
    """

    folder: Path
    corpus: str
    vocab_size: int
    train_tokens: int
    validation_tokens: int
    train_bytes: int
    validation_bytes: int
    train_documents: int
    validation_documents: int
    unigram_entropy: float
    split: str
    skipped: dict[str, int] = field(default_factory=dict)
    entropy_rate: float | None = None
    marginal_entropy: float | None = None
    bos_id: int = BOS_ID
    eos_id: int = EOS_ID
    pad_id: int = PAD_ID
    mask_id: int = MASK_ID

    @property
    def key(self) -> str:
        """Hash of the content: two stores with the same key hold the same tokens."""
        return self.folder.name

    @property
    def bytes_per_token(self) -> float:
        """Of the validation data. Bits per byte = nats per token / (bytes_per_token · ln 2)."""
        return self.validation_bytes / self.validation_tokens

    def train(self) -> np.memmap:
        """Training token ids, 1-D, read-only, uint16 or uint32."""
        return self._open("train.bin")

    def validation(self) -> np.memmap:
        """Validation token ids, 1-D, read-only, uint16 or uint32."""
        return self._open("validation.bin")

    def tokenizer(self) -> "Tokenizer":
        """The vocabulary.

        Raises:
            InputError: a synthetic corpus, whose symbols are no text.
        """
        if self.entropy_rate is not None:
            raise InputError(f"{self.corpus}: has no tokenizer, its symbols are not text; use decode()")
        return load_tokenizer(self.folder / "tokenizer.json")

    def decode(self, ids: Iterable[int], keep_special: bool = False) -> str:
        """Token ids as text; synthetic symbols as numbers with spaces between. See `decode_ids`."""
        if self.entropy_rate is None:
            return decode_ids(self.tokenizer(), ids, keep_special)
        return " ".join(
            str(int(token) - synthetic.FIRST_SYMBOL) for token in ids if int(token) >= synthetic.FIRST_SYMBOL
        )

    def entropy_floor(self, context: int) -> float | None:
        """Least possible bound with this context, nats per token, if it is known (synthetic data)."""
        if self.entropy_rate is None or self.marginal_entropy is None:
            return None
        return synthetic.entropy_floor(self.marginal_entropy, self.entropy_rate, context)

    def summary(self) -> dict[str, Any]:
        """Everything above except the place on disk, ready for JSON."""
        values = asdict(self)
        del values["folder"]
        return {"key": self.key, **values, "bytes_per_token": self.bytes_per_token}

    @staticmethod
    def load(folder: Path | str) -> "TokenStore":
        """Open a prepared folder.

        Raises:
            InputError: not a store, of another format, or with files missing or of the wrong size.
        """
        folder = Path(folder)
        try:
            meta = json.loads((folder / _META).read_text(encoding="utf-8"))
            if meta["format"] != FORMAT:
                raise InputError(f"{folder}: format {meta['format']}, this version reads {FORMAT}; prepare it again")
            for name, size in meta["files"].items():
                found = (folder / name).stat().st_size
                if found != size:
                    raise InputError(f"{folder / name}: {found:,} bytes instead of {size:,}; prepare it again")
            return TokenStore(folder=folder, **meta["store"])
        except OSError as error:
            raise InputError(f"{error.filename or folder}: {error.strerror}; not a complete token store") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{folder / _META}: damaged ({error}); prepare the corpus again") from error

    def _open(self, name: str) -> np.memmap:
        return np.memmap(self.folder / name, dtype=token_dtype(self.vocab_size), mode="r")


def prepare(config: DataConfig, cache_dir: Path | str, progress: Progress | None = None) -> TokenStore:
    """Turn a corpus into tokens, or reuse a finished store.

    Reads every document once to identify the corpus (a Hub dataset is identified by its commit alone), then, if it
    is new, trains a vocabulary on the training documents and encodes everything. Safe to run in several processes.

    Args:
        config: what to read.
        cache_dir: folder of all stores; created if missing.
        progress: receives a line of text every few seconds.

    Raises:
        InputError: an error in the corpus, the settings or the folder, with its place.
    """
    progress = progress or (lambda line: None)
    cache_dir = Path(cache_dir)
    if config.is_synthetic:
        return _prepare_synthetic(config, cache_dir, progress)
    return _prepare_text(config, cache_dir, progress)


# --- text ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Survey:
    """Result of the first pass over the corpus."""

    fingerprint: str
    total_bytes: int
    split: Split
    sample: TrainingSample
    skipped: dict[str, int]


def _prepare_text(config: DataConfig, cache_dir: Path, progress: Progress) -> TokenStore:
    sources = find_sources(config.corpus, config.text_key)
    given = None if config.validation is None else find_sources(config.validation, config.text_key)
    words = _in_words(config)

    pins = [[source.pin for source in side] for side in (sources, given or [])]
    pinned_key = None if None in pins[0] + pins[1] else _key(config, json.dumps([pins, config.max_bytes]))
    if pinned_key and (store := _reuse(cache_dir / pinned_key, words, progress)):
        return store
    survey = _survey(config, sources, given, progress)
    key = pinned_key or _key(config, survey.fingerprint)
    if not pinned_key and (store := _reuse(cache_dir / key, words, progress)):
        return store

    def build(folder: Path) -> None:
        progress(f"training a vocabulary of {config.vocab_size:,} tokens")
        parts = [survey.split.divide(text, digest)[0] for text, digest in survey.sample.documents()]
        if not any(parts):
            raise _nothing_left(words, "training")
        tokenizer = train_tokenizer((part for part in parts if part), config.vocab_size)
        (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
        _encode(config, sources, given, survey, tokenizer, folder, words, progress)

    largest = survey.total_bytes * token_dtype(config.vocab_size).itemsize  # at most one token per byte
    return _publish(cache_dir, key, words, build, largest, progress)


def _survey(config: DataConfig, sources: list[Source], given: list[Source] | None, progress: Progress) -> _Survey:
    """Read everything once: fingerprint, sizes, how to split, and a sample for the vocabulary."""
    fingerprint = hashlib.blake2b(digest_size=16)
    sample = TrainingSample(sample_bytes(config.vocab_size))
    skipped: Counter[str] = Counter()
    given_bytes = 0
    given_digests: set[bytes] = set()
    for text in read_documents(given, None, skipped) if given else ():
        digest = _digest(text, config)
        fingerprint.update(digest)
        given_digests.add(digest)
        given_bytes += len(text.encode())
    fingerprint.update(b"corpus")
    total_bytes = held_out_bytes = repeated = 0
    say = _Ticker(progress)
    for text in read_documents(sources, config.max_bytes, skipped):
        digest = _digest(text, config)
        fingerprint.update(digest)
        size = len(text.encode())
        total_bytes += size
        held_out_bytes += size * is_held_out(digest, config.validation_fraction)
        repeated += digest in given_digests
        sample.add(text, digest)
        say(lambda: f"reading: {total_bytes / 1e6:,.0f} MB")  # noqa: B023
    if skipped:
        progress(f"reading: {total_bytes / 1e6:,.1f} MB{describe_skipped(skipped)}")
    if given:
        split = Split("given", config.validation_fraction, frozenset(given_digests))
        if repeated:
            skipped["training document that is also in validation"] = repeated
            progress(f"{repeated} documents of the corpus are also in validation: left out of training")
    else:
        split = Split(choose_kind(config.validation_fraction, held_out_bytes, total_bytes), config.validation_fraction)
        if split.kind == "tails":
            share = f"{config.validation_fraction:.0%}"
            progress(f"too few documents to hold out {share} of them: validation is the last {share} of each")
    return _Survey(fingerprint.hexdigest(), total_bytes + given_bytes, split, sample, dict(skipped))


def _encode(
    config: DataConfig,
    sources: list[Source],
    given: list[Source] | None,
    survey: _Survey,
    tokenizer: "Tokenizer",
    folder: Path,
    words: str,
    progress: Progress,
) -> None:
    say = _Ticker(progress)
    fingerprint = hashlib.blake2b(digest_size=16)
    with (
        closing(TokenFile(folder / "train.bin", config.vocab_size)) as train,
        closing(TokenFile(folder / "validation.bin", config.vocab_size)) as validation,
    ):

        def documents() -> Iterator[tuple[TokenFile, str]]:
            for text in read_documents(given) if given else ():
                fingerprint.update(_digest(text, config))
                yield validation, text
            fingerprint.update(b"corpus")
            for text in read_documents(sources, config.max_bytes):
                digest = _digest(text, config)
                fingerprint.update(digest)
                for file, part in zip((train, validation), survey.split.divide(text, digest), strict=True):
                    if part:
                        yield file, part

        def report() -> None:
            done, tokens = train.bytes + validation.bytes, train.tokens + validation.tokens
            say(lambda: f"encoding: {done / 1e6:,.0f} of {survey.total_bytes / 1e6:,.0f} MB, {tokens:,} tokens")

        encode_documents(tokenizer, documents(), report)
    if fingerprint.hexdigest() != survey.fingerprint:
        raise InputError(f"corpus {words}: it changed while it was read; run again once nothing writes to it")
    _write_meta(folder, train, validation, corpus=words, split=survey.split.kind, skipped=survey.skipped)


# --- synthetic -------------------------------------------------------------------------------------------------------


def _prepare_synthetic(config: DataConfig, cache_dir: Path, progress: Progress) -> TokenStore:
    settings = config.synthetic
    identity = [FORMAT, "synthetic", settings.model_dump(), config.validation_fraction]
    key = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=16).hexdigest()
    words = (
        f"synthetic: a Markov chain over {settings.symbols} symbols "
        f"(concentration {settings.concentration:g}, seed {settings.seed})"
    )
    if store := _reuse(cache_dir / key, words, progress):
        return store

    def build(folder: Path) -> None:
        progress(f"drawing {settings.tokens:,} tokens of a Markov chain")
        chain = synthetic.make_chain(settings)
        vocab_size = settings.symbols + synthetic.FIRST_SYMBOL
        train_N, validation_N = synthetic.make_tokens(settings, config.validation_fraction)
        with (
            closing(TokenFile(folder / "train.bin", vocab_size)) as train,
            closing(TokenFile(folder / "validation.bin", vocab_size)) as validation,
        ):
            train.write(train_N, len(train_N))
            validation.write(validation_N, len(validation_N))
        train.documents = validation.documents = 1
        _write_meta(
            folder,
            train,
            validation,
            corpus=words,
            split="chains",
            entropy_rate=chain.entropy_rate,
            marginal_entropy=chain.marginal_entropy,
        )

    largest = settings.tokens * token_dtype(settings.symbols).itemsize
    return _publish(cache_dir, key, words, build, largest, progress)


# --- shared ----------------------------------------------------------------------------------------------------------


def _key(config: DataConfig, content: str) -> str:
    """Name of the store: content and the settings that change tokens. Never a path."""
    identity = [FORMAT, content, config.vocab_size, config.validation_fraction, config.seed]
    return hashlib.blake2b(json.dumps(identity).encode(), digest_size=16).hexdigest()


def _digest(text: str, config: DataConfig) -> bytes:
    return document_digest(text.encode(), config.seed)


def _in_words(config: DataConfig) -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    names = [f"Python {version} standard library" if name == "stdlib" else name for name in as_list(config.corpus)]
    limit = "" if config.max_bytes is None else f" (at most {config.max_bytes:,} bytes)"
    return ", ".join(names) + limit


def _reuse(folder: Path, words: str, progress: Progress) -> TokenStore | None:
    """The finished store, with this configuration's description; None if it must be made."""
    if not folder.exists():
        return None
    try:
        store = TokenStore.load(folder)
    except InputError as error:
        progress(f"making again: {error}")
        return None
    progress(f"reusing {folder}")
    return replace(store, corpus=words)


def _publish(
    cache_dir: Path,
    key: str,
    words: str,
    build: Callable[[Path], None],
    largest_bytes: int,
    progress: Progress,
) -> TokenStore:
    with say_when_full(cache_dir, largest_bytes):
        folder = publish(cache_dir, key, build, _is_complete)
    store = replace(TokenStore.load(folder), corpus=words)
    progress(f"{store.train_tokens:,} training and {store.validation_tokens:,} validation tokens in {folder}")
    return store


def _is_complete(folder: Path) -> bool:
    try:
        TokenStore.load(folder)
    except InputError:
        return False
    return True


def _write_meta(folder: Path, train: TokenFile, validation: TokenFile, **known: Any) -> None:
    """Describe finished token files; written last, so a folder with a `meta.json` is complete."""
    for file, side in ((train, "training"), (validation, "validation")):
        if not file.tokens:
            raise _nothing_left(known["corpus"], side)
    store = {
        "vocab_size": len(train.counts_V),
        "train_tokens": train.tokens,
        "validation_tokens": validation.tokens,
        "train_bytes": train.bytes,
        "validation_bytes": validation.bytes,
        "train_documents": train.documents,
        "validation_documents": validation.documents,
        "unigram_entropy": unigram_cross_entropy(train.counts_V, validation.counts_V),
        **known,
    }
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    meta = {"format": FORMAT, "files": sizes, "store": store}
    (folder / _META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")


def _nothing_left(words: str, side: str) -> InputError:
    return InputError(
        f"corpus {words}: no {side} text left after the split.\n"
        "Give more text, a `validation` other than the corpus itself, or another validation_fraction."
    )


class _Ticker:
    """Passes a line on at most every few seconds."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last = time.monotonic()

    def __call__(self, line: Callable[[], str]) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            self._progress(line())
