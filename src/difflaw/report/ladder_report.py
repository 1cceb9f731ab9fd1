"""From a ladder's folder to its laws, figures and page: everything is rebuilt from the run directories."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from difflaw.errors import InputError
from difflaw.files import room_on_disk, write_atomically
from difflaw.ladder.directory import LadderDirectory
from difflaw.ladder.search.run import decisions, search_state
from difflaw.ladder.status import cell_statuses
from difflaw.ladder.table import ladder_table
from difflaw.law import Laws, fit_table, published_laws, table_from_frame
from difflaw.law.document import Source
from difflaw.report.figures import save_figures
from difflaw.report.fit_report import fitted_context
from difflaw.report.page import write_report
from difflaw.training.recipe import Recipe
from difflaw.version import __version__


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
    laws = fit_ladder(ladder, table)
    words = laws.reading if laws is not None else ("Too little has finished to fit a law.",)
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
        "decisions": decisions(ladder),
        "verdict": (search_state(ladder.path) or {}).get("verdict") or "",
    }
    if laws is not None:
        context |= fitted_context(laws)
    with room_on_disk(ladder.path):
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        table_path = write_atomically(ladder.path / "table.parquet", buffer.getvalue())
        write_atomically(ladder.path / "table.csv", table.to_csv(index=False))
        if laws is not None:
            source = Source("table.parquet", hashlib.sha256(buffer.getvalue()).hexdigest(), len(table))
            laws = replace(laws, source=source)
            laws.write(ladder.path / "laws.json")
        figures = save_figures(ladder.path / "figures", table, laws, floor)
        page = write_report(ladder.path / "report.html", laws, table, context, published_laws())
    return LadderReport(laws, words, page, tuple(figures), table_path)


def fit_ladder(ladder: LadderDirectory, rows: Any = None) -> Laws | None:
    """The laws of a ladder's rows (default: of its runs as they are now); None while too little has finished."""
    rows = ladder_table(ladder) if rows is None else rows
    if rows.empty:
        return None
    description = ladder.description()
    config = description["config"]
    recipe = Recipe.model_validate({key: config[key] for key in Recipe.model_fields if key in config})
    try:
        return fit_table(
            table_from_frame(rows, source="the ladder's table"),
            budgets=config["budgets"] or None,  # a search's are in its table
            about=_about(config, description["data"], _shapes(rows)),
            recipe=recipe.written(),
            family_configs={family["label"]: family for family in config["families"]},
        )
    except InputError:
        if set(rows["status"]) & {"done"}:
            raise
        return None


def _shapes(rows: Any) -> list[str]:
    return [f"{width}x{depth}" for width, depth in zip(rows["width"], rows["depth"], strict=True)]


def _about(config: dict[str, Any], data: dict[str, Any], shapes: Sequence[str]) -> dict[str, str]:
    """What a ladder knows and its table does not say, for the checklist."""
    shapes = ", ".join(dict.fromkeys(sorted(shapes, key=lambda s: [int(n) for n in s.split("x")])))
    rates = config["lr"]
    tuned = "by the first paper's law" if rates.get("law") else f"one sweep for all sizes: {rates['values']}"
    return {
        "data": f"{data['corpus']}; byte-level BPE of {data['vocab_size']:,} entries, "
        f"{data['bytes_per_token']:.2f} bytes a token",
        "architecture": f"transformer of 2512.10858, context {config['context']:,}, width x depth {shapes}",
        "optimizer": f"{config['optimizer']} under CompleteP, weight decay {config['weight_decay']:g}",
        "schedule": f"warm-up {config['warmup']:g}, then constant, cooldown {config['cooldown']:g} (steps or shares)",
        "tuning": tuned,
        "code": f"difflaw {__version__}; everything that was planned is in the ladder's ladder.json",
        "loss": "validation bound (NELBO; exact for autoregressive), along runs",
        "evaluation": f"{config['evaluation']['sequences']} sequences, common noise, stratified λ in ±9",
    }
