"""Runs from wherever they lie: a ladder's folder, with its description, or anyone's table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from difflaw.ladder.directory import LadderDirectory
from difflaw.ladder.table import ladder_table
from difflaw.law.table import Table, read_table, table_from_frame


def read_runs(source: Path) -> tuple[Table, dict[str, Any] | None]:
    """(table of runs, the content of ladder.json where ``source`` is a ladder's folder); InputError for neither."""
    if source.is_dir():
        ladder = LadderDirectory.existing(source)
        return table_from_frame(ladder_table(ladder), source=str(source)), ladder.description()
    return read_table(source), None
