"""Run a search in a ladder's folder: decide, open cells, write every decision down, and go on until it ends."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from difflaw.errors import InputError
from difflaw.files import read_json, read_json_lines, room_on_disk, write_atomically, write_json
from difflaw.formatting import flops as in_flops
from difflaw.ladder.directory import LadderDirectory
from difflaw.ladder.runner import run_cells
from difflaw.ladder.search.cells import FolderWorld, SearchPlan
from difflaw.ladder.search.drive import Decision, SearchDrive
from difflaw.ladder.search.steps import Ask
from difflaw.training.engine import Compile

DECISIONS = "decisions.jsonl"
"""One decision a line, family by family in the order they were made. Rebuilt from the runs at every start."""
STATE = "search.json"
"""Where the search stands."""


class LadderSearch:
    """A search in its folder; `open_cells` is what `ladder.runner.run_cells` asks for more."""

    def __init__(
        self, plan: SearchPlan, ladder: LadderDirectory, say: Callable[[str], None] = lambda line: None
    ) -> None:
        search = plan.config.search
        assert search is not None
        self.plan, self.ladder, self.say = plan, ladder, say
        self.world = FolderWorld(plan, ladder)
        until = search.until.params_exponent if search.until is not None else None
        self.drive = SearchDrive(plan.spaces, self.world, flops=plan.flops, until=until, seeds=search.seeds)
        self._open: set[tuple[str, Ask]] = set()
        self._known = {(line["family"], line["number"], line["reason"]) for line in decisions(ladder)}

    def open_cells(self) -> list[str]:
        """Take the search as far as finished runs allow; names of the cells it opened just now."""
        asked = set(self.drive.advance())
        cells = [self.world.cell(family, ask) for family, ask in sorted(asked - self._open)]
        self._open = asked
        longest = {cell.run.name: cell for cell in sorted(cells, key=lambda cell: cell.run.steps)}
        if longest:
            self.ladder.add(list(longest.values()))
        self._write()
        return sorted(longest, key=lambda name: -longest[name].flops)

    def _write(self) -> None:
        lines = [self._record(d) for d in self.drive.decisions]
        for line in lines:
            key = (line["family"], line["number"], line["reason"])
            if key not in self._known:
                self._known.add(key)
                self.say(sentence(line))
        order = [space.family for space in self.plan.spaces]
        lines.sort(key=lambda line: (order.index(line["family"]), line["number"]))
        with room_on_disk(self.ladder.path):
            text = "".join(json.dumps(line) + "\n" for line in lines)
            write_atomically(self.ladder.path / DECISIONS, text)
            write_json(self.ladder.path / STATE, self.state())

    def _record(self, decision: Decision) -> dict[str, Any]:
        step, space = decision.step, next(s for s in self.plan.spaces if s.family == decision.family)
        runs = [{"shape": space.names[a.size], "seed": a.seed, "budget": space.budgets[a.budget]} for a in step.asks]
        return {
            "family": decision.family,
            "number": decision.number,
            "stage": step.stage,
            "budget": space.budgets[step.budget] if step.budget is not None else None,
            "reason": step.reason,
            "runs": runs,
            "flops": step.flops,
        }

    def state(self) -> dict[str, Any]:
        """Budgets, what is spent and left, and each family's stage, bracket and minima."""
        drive = self.drive
        families = {}
        for space in self.plan.spaces:
            own = [d for d in drive.decisions if d.family == space.family]
            sight = drive.sight(space.family)
            last = own[-1].step if own else None
            known = sorted(sight.known(last.budget)) if last is not None and last.budget is not None else []
            families[space.family] = {
                "stage": "ended" if drive.verdict is not None or last is None else last.stage,
                "budget": space.budgets[last.budget] if last is not None and last.budget is not None else None,
                "bracket": [space.names[known[0]], space.names[known[-1]]] if known else None,
                "minima": {f"{space.budgets[k]:g}": _size(sight.minimum(k)) for k in sight.inside},
                "flops": sum(d.step.flops for d in own),
                "open": sum(family == space.family for family, _ in self._open),
            }
        return {
            "flops": self.plan.flops,
            "spent": drive.spent,
            "left": max(self.plan.flops - drive.spent, 0.0),
            "budgets": list(self.plan.spaces[0].budgets),
            "planned": len(self.plan.budgets),
            "verdict": drive.verdict,
            "families": families,
        }


def _size(minimum: tuple[float, float] | None) -> dict[str, float] | None:
    if minimum is None:
        return None
    return {"params": math.exp(minimum[0]), "ln_se": minimum[1]}


def sentence(line: dict[str, Any]) -> str:
    """A decision as one line: "masked at 5e+11 FLOPs: smallest size is best, adding 12x2"."""
    at = f" at {in_flops(line['budget'])}" if line.get("budget") else ""
    return f"{line['family']}{at}: {line['reason']}"


def decisions(ladder: LadderDirectory) -> list[dict[str, Any]]:
    """The decisions written down in a ladder's folder; none where it is no search."""
    return list(read_json_lines(ladder.path / DECISIONS))


def search_state(folder: Path) -> dict[str, Any] | None:
    """Where the search in a folder stands; None where there is none."""
    try:
        return read_json(folder / STATE)
    except InputError:
        return None


def run_search(
    plan: SearchPlan,
    ladder: LadderDirectory,
    *,
    workers: int,
    threads: int = 1,
    compile_: Compile = "off",
    tick: Callable[[], None] = lambda: None,
    checkpoint_seconds: float = 30.0,
    say: Callable[[str], None] = lambda line: None,
) -> LadderSearch:
    """Run a search to its end in worker processes; killed and run again it makes the same decisions and goes on."""
    search = LadderSearch(plan, ladder, say)
    run_cells(
        ladder,
        plan.store.folder,
        workers=workers,
        threads=threads,
        longest_first={},
        compile_=compile_,
        tick=tick,
        more=search.open_cells,
        checkpoint_seconds=checkpoint_seconds,
    )
    say(f"search ended: {search.drive.verdict}")
    return search
