"""From the name of a corpus to its documents: strings in a fixed order."""

import gzip
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from difflaw.data.config import as_list
from difflaw.data.hub_text import find_hub_dataset, hub_documents
from difflaw.data.stdlib_text import stdlib_documents
from difflaw.errors import InputError

SUFFIXES = (".txt", ".md", ".rst", ".py", ".jsonl", ".jsonl.gz", ".parquet")
"""Supported files. A file of the first four kinds is one document."""


class NotTextError(Exception):
    """A file that is not UTF-8 text."""


@dataclass(frozen=True)
class Source:
    """A corpus that has been found but not read.

    Attributes:
        name: what the configuration calls it.
        pin: if not None, a name that fixes the content, so that it is identified without reading it.
        documents: reads it from the start; takes a counter of skipped files, by reason.
    """

    name: str
    pin: str | None
    documents: Callable[[Counter[str]], Iterator[str | None]]


def find_sources(corpus: str | list[str], text_key: str = "text") -> list[Source]:
    """Resolve the name or names of a corpus.

    Raises:
        InputError: a path that does not exist, an unsupported file type, an unknown Hub dataset.
    """
    return [_find_source(name, text_key) for name in as_list(corpus)]


def read_documents(
    sources: list[Source], max_bytes: int | None = None, skipped: Counter[str] | None = None
) -> Iterator[str]:
    """Every non-empty document of every source, up to `max_bytes` (UTF-8), where a document is cut.

    Unpaired surrogates, which JSON can write but UTF-8 cannot, become U+FFFD.

    Args:
        sources: what to read, in this order.
        max_bytes: None for everything.
        skipped: counts skipped files of folders, by reason.

    Raises:
        InputError: a file that cannot be read, with file and line; no text at all.
    """
    skipped = Counter() if skipped is None else skipped
    left = max_bytes
    found = False
    for source in sources:
        for text in source.documents(skipped):
            if not text:
                continue
            text = _without_surrogates(text)
            if left is not None:
                encoded = text.encode()
                text = encoded[:left].decode(errors="ignore") if len(encoded) > left else text
                left -= len(encoded)
            if text:
                found = True
                yield text
            if left is not None and left <= 0:
                return
    if not found:
        names = ", ".join(source.name for source in sources)
        raise InputError(f"no text in {names}{describe_skipped(skipped)}.\nSupported files: {', '.join(SUFFIXES)}")


def _find_source(name: str, text_key: str) -> Source:
    if name == "stdlib":
        return Source(name, None, stdlib_documents)
    if name.startswith("hf:"):
        dataset = find_hub_dataset(name)
        return Source(name, f"{dataset.pin}#{text_key}", lambda skipped: hub_documents(dataset, text_key))
    if name == "synthetic":
        raise InputError("corpus 'synthetic' is not text: it cannot be read together with text")
    path = Path(name).expanduser()
    if path.is_dir():
        return Source(name, None, partial(_folder_documents, path, text_key))
    if not path.exists():
        raise InputError(f"corpus '{name}': no such file or folder (nor 'stdlib', 'synthetic' or 'hf:DATASET')")
    if not path.is_file():
        raise InputError(f"corpus '{name}': neither a file nor a folder")
    if _suffix(path) is None:
        raise InputError(f"corpus '{name}': unsupported file type; supported: {', '.join(SUFFIXES)}")
    return Source(name, None, partial(_named_file_documents, path, text_key))


def _named_file_documents(path: Path, text_key: str, skipped: Counter[str]) -> Iterator[str | None]:
    try:
        yield from _file_documents(path, text_key)
    except NotTextError as error:
        raise InputError(f"{path}: not text: {error}; convert it to UTF-8 or leave it out") from error


def _folder_documents(folder: Path, text_key: str, skipped: Counter[str]) -> Iterator[str | None]:
    for path in walk(folder):
        if _suffix(path) is None:
            skipped["file of another kind"] += 1
        elif not path.is_file():
            skipped["not a regular file"] += 1
        else:
            try:
                yield from _file_documents(path, text_key)
            except NotTextError:
                skipped["file that is not UTF-8 text"] += 1


def walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted. Hidden names are skipped; links to folders are not followed."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path))
        elif not entry.is_dir():
            yield Path(entry.path)


def _suffix(path: Path) -> str | None:
    lowered = path.name.lower()
    return next((suffix for suffix in SUFFIXES if lowered.endswith(suffix)), None)


def _file_documents(path: Path, text_key: str) -> Iterator[str | None]:
    suffix = _suffix(path)
    try:
        if suffix in (".jsonl", ".jsonl.gz"):
            yield from _json_lines(path, text_key, compressed=suffix == ".jsonl.gz")
        elif suffix == ".parquet":
            yield from _parquet_rows(path, text_key)
        else:
            yield _decode(path.read_bytes())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); fetch or write it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _decode(content: bytes) -> str:
    """UTF-8 without a byte order mark, line endings as they are."""
    if b"\0" in content:
        raise NotTextError("it holds NUL bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotTextError(f"byte {error.start} is not UTF-8") from error


def _json_lines(path: Path, text_key: str, compressed: bool) -> Iterator[str | None]:
    with gzip.open(path, "rb") if compressed else path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                row = json.loads(line.decode("utf-8-sig"))
            except UnicodeDecodeError as error:
                raise NotTextError(f"line {number} is not UTF-8") from error
            except (json.JSONDecodeError, RecursionError) as error:
                raise InputError(f"{where}: not JSON ({error}); each line must be one JSON object") from error
            if not isinstance(row, dict):
                raise InputError(f'{where}: not a JSON object; each line must be like {{"{text_key}": ...}}')
            if text_key not in row:
                raise InputError(f"{where}: no key '{text_key}'; there is: {', '.join(row) or 'none'} (text_key)")
            if not isinstance(row[text_key], str | None):
                raise InputError(f"{where}: '{text_key}' is {type(row[text_key]).__name__}, not a string (text_key)")
            yield row[text_key]


def _parquet_rows(path: Path, text_key: str) -> Iterator[str | None]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            if text_key not in schema.names:
                raise InputError(f"{path}: no column '{text_key}'; there is: {', '.join(schema.names)} (text_key)")
            kind = schema.field(text_key).type
            if kind not in (pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()):
                raise InputError(f"{path}: column '{text_key}' is {kind}, not text (text_key)")
            for batch in file.iter_batches(batch_size=1024, columns=[text_key]):
                yield from batch.column(0).to_pylist()
    except pyarrow.ArrowException as error:
        raise InputError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error
    except UnicodeDecodeError as error:
        raise NotTextError(f"column '{text_key}' is not UTF-8") from error


def _without_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def describe_skipped(skipped: Counter[str]) -> str:
    """Skipped files, as text to append to a sentence: " (left out: 2 × reason)", or nothing."""
    if not skipped:
        return ""
    return " (left out: " + ", ".join(f"{count} × {reason}" for reason, count in sorted(skipped.items())) + ")"
