"""From a ladder's folder to its laws, figures and page: everything is rebuilt from the run directories."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from difflaw.errors import InputError
from difflaw.files import room_on_disk, write_atomically, write_json
from difflaw.ladder.directory import LadderDirectory
from difflaw.ladder.status import cell_statuses
from difflaw.ladder.table import ladder_table
from difflaw.law import Laws, fit_laws, laws_as_json, published_laws, reading, table_from_frame
from difflaw.report.figures import save_figures
from difflaw.report.page import write_report


@dataclass(frozen=True)
class LadderReport:
    """What was written, and the laws themselves (None while too little has finished to fit any)."""

    laws: Laws | None
    reading: tuple[str, ...]
    page: Path
    figures: tuple[Path, ...]
    table: Path


def write_ladder_report(ladder: LadderDirectory, samples: Sequence[str] = ()) -> LadderReport:
    """Rebuild table, laws, figures and page of a ladder, finished or not.

    ``samples`` are pieces of its corpus to show (untrusted text; escaped). Raises InputError when the folder is no
    ladder or the disk is full.
    """
    description = ladder.description()
    config, data = description["config"], description["data"]
    table = ladder_table(ladder)
    laws = _fit(table, config)
    words = tuple(reading(laws)) if laws is not None else ("Too little has finished to fit a law.",)
    floor = data.get("entropy_floor")
    cells = [asdict(cell) | {"cell": cell.name} for cell in cell_statuses(ladder)]
    derived = {(entry["name"], entry["rule"]): entry for _, cell, _ in ladder.cells() for entry in cell["derived"]}
    context: dict[str, Any] = {
        "title": config["name"],
        "corpus": f"{data['corpus']}: {data['train_tokens']:,} training tokens, vocabulary {data['vocab_size']:,}, "
        f"{data['bytes_per_token']:.2f} bytes a token",
        "samples": list(samples),
        "entropy_floor": floor,
        "unigram_entropy": data["unigram_entropy"],
        "params_convention": config["params"],
        "flops_convention": config["flops"],
        "cells": cells,
        "hyperparameters": list(derived.values()),
        "reading": list(words),
    }
    with room_on_disk(ladder.path):
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        table_path = write_atomically(ladder.path / "table.parquet", buffer.getvalue())
        write_atomically(ladder.path / "table.csv", table.to_csv(index=False))
        if laws is not None:
            write_json(ladder.path / "laws.json", laws_as_json(laws))
        figures = save_figures(ladder.path / "figures", table, laws, floor)
        page = write_report(ladder.path / "report.html", laws, table, context, published_laws())
    return LadderReport(laws, words, page, tuple(figures), table_path)


def _fit(table: Any, config: dict[str, Any]) -> Laws | None:
    """Laws of what has finished, or None when the table is still too small for any."""
    if table.empty:
        return None
    try:
        return fit_laws(table_from_frame(table, source="the ladder's table"), budgets=config["budgets"] or None)
    except InputError:
        if set(table["status"]) & {"done"}:
            raise
        return None
