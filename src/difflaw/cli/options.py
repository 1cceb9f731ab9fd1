"""Options that several verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the file, e.g. --set data.vocab_size=512."),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", metavar="DIR", help="Where prepared token files are kept (default: the user's cache folder)."
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Cells run at the same time (default: one per processor).")
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Processor threads (default: as many as the size of the work is worth)."),
]


class Dtype(StrEnum):
    """Number type of weights."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Compile(StrEnum):
    """Whether steps are compiled."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


CompileOption = Annotated[
    Compile,
    typer.Option(
        "--compile",
        help="Compile training steps; auto: where a shape has minutes of work. A run goes on as it began.",
    ),
]


def cache_folder(given: Path | None) -> Path:
    """The folder for prepared data: given, $DIFFLAW_CACHE, or the user's cache folder."""
    from difflaw.data.location import cache_folder as find

    return find(given)


def speaker(quiet: bool) -> Callable[[str], None]:
    """What a verb says while it works: a line on standard error, or nothing under --json."""
    return (lambda line: None) if quiet else (lambda line: print(line, file=sys.stderr, flush=True))
