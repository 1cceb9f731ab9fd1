"""Text of a dataset on the Hugging Face Hub, streamed at a fixed revision; no dataset script is ever run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from difflaw.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_INSTALL = "reading from the Hugging Face Hub needs one more package: pip install 'difflaw[data]'"


@dataclass(frozen=True)
class HubDataset:
    """A dataset at one commit: the same `pin` is the same text."""

    name: str
    config: str | None
    split: str
    revision: str

    @property
    def pin(self) -> str:
        """Name that fixes the content."""
        return f"hf:{self.name}:{self.config or ''}:{self.split}@{self.revision}"


def parse_hub_name(corpus: str) -> tuple[str, str | None, str]:
    """Parts of "hf:DATASET[:CONFIG[:SPLIT]]": dataset, config or None, split ("train" unless given).

    Raises:
        InputError: another form.
    """
    parts = corpus.removeprefix("hf:").split(":")
    if len(parts) > 3 or not _NAME.fullmatch(parts[0]):
        raise InputError(f"corpus '{corpus}': a Hub dataset is hf:DATASET[:CONFIG[:SPLIT]], e.g. hf:owner/name::train")
    name, config, split = (*parts, "", "")[:3]
    return name, config or None, split or "train"


def find_hub_dataset(corpus: str) -> HubDataset:
    """Look the dataset up and fix its revision.

    Raises:
        InputError: missing package, unknown or unreachable dataset, a dataset that is a script, or a local folder
            that would be read in its place.
    """
    name, config, split = parse_hub_name(corpus)
    if Path(name).exists():
        raise InputError(
            f"corpus '{corpus}': a local path '{name}' would hide the Hub dataset; rename it, or name its files"
        )
    try:
        import datasets  # noqa: F401  # pyright: ignore[reportMissingImports]
        from huggingface_hub import HfApi
    except ImportError as error:
        raise InputError(f"corpus '{corpus}': {_INSTALL}") from error
    try:
        info = HfApi().dataset_info(name)
    except Exception as error:  # the client has no common base for "not found" and "no network"
        raise InputError(f"corpus '{corpus}': not found on the Hub, or no network: {_first_line(error)}") from error
    if any(file.rfilename == f"{name.split('/')[-1]}.py" for file in info.siblings or []):
        raise InputError(f"corpus '{corpus}' is a script, which is never run: use a dataset of data files (Parquet)")
    return HubDataset(name, config, split, str(info.sha))


def hub_documents(dataset: HubDataset, text_key: str) -> Iterator[str | None]:
    """The text of every row, in order; None where there is none.

    Raises:
        InputError: a config or split that is not there, a column that is not there or not text.
    """
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(f"corpus '{dataset.pin}': {_INSTALL}") from error
    try:
        rows: Any = datasets.load_dataset(
            dataset.name, dataset.config, split=dataset.split, streaming=True, revision=dataset.revision
        )
    except Exception as error:  # one of a dozen classes, all meaning that this name cannot be opened
        raise InputError(f"corpus '{dataset.pin}': cannot be opened: {_first_line(error)}") from error
    for number, row in enumerate(rows):
        if text_key not in row:
            raise InputError(f"corpus '{dataset.pin}': no column '{text_key}'; there is: {', '.join(row)} (text_key)")
        if not isinstance(row[text_key], str | None):
            raise InputError(f"corpus '{dataset.pin}', row {number}: '{text_key}' is not text (text_key)")
        yield row[text_key]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
