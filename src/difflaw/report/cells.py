"""Tables of the page as data: headers, rows and what a cell can hold. `templates/macros.html.j2` writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from difflaw.formatting import UNKNOWN, fixed, short_count
from difflaw.law.results import Estimate, Interval
from difflaw.report.colours import style_of

_CHIPS = {
    "done": "good",
    "interior": "good",
    "running": "info",
    "queued": "info",
    "diverged": "bad",
    "failed": "bad",
}


@dataclass(frozen=True)
class Citation:
    """A published value, its source, and the number of the note that says how it was counted."""

    text: str
    source: str
    note: int


@dataclass(frozen=True)
class Cell:
    """Text with what may surround it; a cell that is text alone is a str."""

    text: str = ""
    note: str = ""
    """Small print below."""
    swatch: str = ""
    """Colour in front."""
    chip: str = ""
    """Shown as a label: "good", "info", "warn" or "bad"."""
    strong: bool = False
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True)
class Grid:
    """A table; the columns in ``numeric`` are set right."""

    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    numeric: frozenset[int] = frozenset()


def grid(caption: str, headers: Sequence[str], rows: Sequence[Sequence[object]], numeric: Iterable[int] = ()) -> Grid:
    """A table from its parts."""
    return Grid(caption, headers, rows, frozenset(numeric))


def family_cell(family: str) -> Cell:
    """The family behind a swatch of its colour."""
    return Cell(family, swatch=style_of(family).colour)


def status_cell(status: object) -> Cell:
    """A status in words; edges, divergence and failure stand out. The word says it, the colour only helps."""
    return Cell(str(status), chip=_CHIPS.get(str(status), "warn"))


def counted(value: float, interval: Interval | Estimate | None) -> str:
    """A size or a number of tokens with its interval: "14.2k [12k, 17k]"."""
    return short_count(value) + (f" [{short_count(interval.low)}, {short_count(interval.high)}]" if interval else "")


def span(interval: Interval | None) -> str:
    """An interval of losses: "[3.120, 3.405]"."""
    return f"[{fixed(interval.low)}, {fixed(interval.high)}]" if interval else UNKNOWN
