"""A ladder's folder: what was planned, where its runs are, and that nobody mixes two ladders.

ladder.json      the config as read, the data's summary, the cells by name
runs/CELL/       one run directory each (`training.run_directory`)
table.parquet    one row an evaluation; rebuilt from the runs at any time
laws.json, figures/, report.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from difflaw.errors import InputError
from difflaw.files import read_json, room_on_disk, write_json
from difflaw.ladder.config import LadderConfig
from difflaw.ladder.plan import Cell, Plan
from difflaw.training.run_directory import RunDirectory
from difflaw.version import __version__

ALWAYS_FIXED = frozenset({"name", "precision", "data (its content)"})
"""What --extend never changes."""
MAY_GROW = frozenset({"search", "families", "description", "max_epochs"})
"""Keys that --extend may change in a search: its runs must all be trained alike."""


class LadderDirectory:
    """Opens, checks and lists the folder of one ladder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def existing(cls, path: Path) -> LadderDirectory:
        """A folder that holds a ladder; InputError otherwise."""
        if not (path / "ladder.json").exists():
            raise InputError(
                f"{path}: holds no ladder (no ladder.json); give the output folder of `difflaw ladder run`"
            )
        return cls(path)

    def create(self, plan: Plan, extend: bool = False) -> None:
        """Write ladder.json and every cell's config; existing cells of the same hash are kept.

        Raises InputError when the folder holds another ladder (or other files), naming the keys that differ;
        with ``extend`` a changed page of the same ladder adds its cells to those that are there.
        """
        target = self.path / "ladder.json"
        config = plan.config.model_dump(mode="json")
        if target.exists():
            old = read_json(target)
            # a key younger than the folder had its default then
            fields, stored = LadderConfig.model_fields, old.get("config", {})
            changed = [key for key in config if stored.get(key, fields[key].default) != config[key]]
            if old.get("data", {}).get("key") != plan.data.get("key"):
                changed.append("data (its content)")
            fixed = set(changed) - MAY_GROW if config["search"] else set(changed) & ALWAYS_FIXED
            if changed and (fixed or not extend):
                kept = stored.get("precision")
                raise InputError(
                    f"{self.path}: holds another ladder ({', '.join(changed)} differ); choose another --output"
                    + (f", or keep its own with --set precision={kept}" if "precision" in changed else "")
                    + ("" if fixed else ", or add to it with --extend")
                )
        elif self.path.exists() and any(p for p in self.path.iterdir() if not p.name.startswith(".")):
            raise InputError(f"{self.path}: is not empty and holds no ladder; choose another --output")
        with room_on_disk(self.path):
            (self.path / "runs").mkdir(parents=True, exist_ok=True)
            names = self._names() if target.exists() and (extend or config["search"]) else {}
            cells = names | {cell.run.name: describe(cell) for cell in plan.cells}
            for cell in plan.cells:
                self.run(cell.run.name).create(cell.run)
            write_json(target, {"version": __version__, "config": config, "data": plan.data, "cells": cells})

    def add(self, cells: Sequence[Cell]) -> None:
        """Add cells that a search asks for; a run that is there already goes on."""
        with room_on_disk(self.path):
            for cell in cells:
                self.run(cell.run.name).create(cell.run)
            found = self.description()
            write_json(self.path / "ladder.json", found | {"cells": found["cells"] | _longest(found["cells"], cells)})

    def _names(self) -> dict[str, Any]:
        return dict(self.description()["cells"])

    def forget_failed(self) -> None:
        """Let failed cells be run again."""
        for _, _, run in self.cells():
            if run.status() == "failed":
                (run.path / "summary.json").unlink()

    def description(self) -> dict[str, Any]:
        """Content of ladder.json: ``config``, ``data``, ``cells``."""
        found = read_json(self.path / "ladder.json")
        if not isinstance(found, dict) or not {"config", "data", "cells"} <= set(found):
            raise InputError(f"{self.path / 'ladder.json'}: not a ladder of this version; run it into a new folder")
        return found

    def run(self, name: str) -> RunDirectory:
        """Run directory of a cell."""
        return RunDirectory(self.path / "runs" / name)

    def cells(self) -> list[tuple[str, dict[str, Any], RunDirectory]]:
        """(name, description, run directory) of every cell, in the order of the plan."""
        return [(name, described, self.run(name)) for name, described in self._names().items()]


def _longest(known: dict[str, Any], cells: Sequence[Cell]) -> dict[str, Any]:
    """Descriptions of the cells that go further than what is known of them."""
    found = {cell.run.name: describe(cell) for cell in cells}
    return {name: new for name, new in found.items() if new["steps"] > known.get(name, {"steps": 0})["steps"]}


def describe(cell: Cell) -> dict[str, Any]:
    """A cell as ladder.json lists it."""
    run = cell.run
    return {
        "family": run.label,
        "width": run.model.width,
        "depth": run.model.layers,
        "heads": run.model.heads,
        "params": cell.params,
        "flops_per_token": cell.flops_per_token,
        "flops": cell.flops,
        "tokens": cell.tokens,
        "steps": run.steps,
        "batch_tokens": run.tokens_per_step,
        "lr": run.optimizer.lr,
        "seed": run.seed,
        "unique_tokens": run.unique_tokens,
        "epochs": cell.epochs,
        "budgets": {str(step): budget for step, budget in cell.budget_steps.items()},
        "derived": [asdict(derived) for derived in cell.derived],
    }
