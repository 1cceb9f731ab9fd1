"""The next cells of a ladder: which sizes and tokens would make its forecast surer, as shapes that can be run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from difflaw.errors import InputError
from difflaw.law.interpolation import prolonged
from difflaw.law.surface.fit import fit_surface
from difflaw.law.table import Table
from difflaw.law.table.trim import surface_rows
from difflaw.planning.next_runs import NextRuns, next_runs
from difflaw.planning.shapes import Shape, allowed_shapes, counted

FAR_AHEAD = 50.0
"""Budget to be forecast, in units of the largest run, where none is given."""


@dataclass(frozen=True)
class Proposal:
    """Next runs of one family, with a shape for each size where the ladder says context and vocabulary."""

    family: str
    found: NextRuns
    shapes: tuple[str | None, ...]
    warnings: tuple[str, ...]


def propose(
    table: Table,
    budget: float,
    target: float | None,
    families: Sequence[str] = (),
    described: dict[str, Any] | None = None,
) -> tuple[list[Proposal], list[str]]:
    """(cells worth ``budget`` FLOPs for each family of a table of runs, why a family has none).

    ``described`` is the description of the ladder that made the table (`ladder.json`), where one did: sizes are then
    shapes that can be run.

    Raises:
        InputError: a family that the table has not, or no family with a surface to improve.
    """
    if not (math.isfinite(budget) and budget > 0):
        raise InputError(f"--flops {budget:g}: give a positive number of FLOPs")
    for family in families:
        if family not in table.families:
            raise InputError(f"--family {family}: {table.source} has {', '.join(table.families)}")
    out, reasons = [], []
    for family in families or table.families:
        try:
            out.append(_proposal(table, family, budget, target, described))
        except InputError as error:
            reasons.append(f"{family}: {error}")
    if not out:
        raise InputError(f"{table.source}: no family has a surface to improve. {reasons[0]}")
    return out, reasons


def _proposal(
    table: Table, family: str, budget: float, target: float | None, described: dict[str, Any] | None
) -> Proposal:
    """Next runs of one family; InputError says why there are none."""
    every: Any = table.frame
    rows = surface_rows(every[every["family"] == family])
    # One row a run: points along a run share its error, so its last one is what another run would add to.
    last = rows.sort_values("tokens").groupby("run").tail(1)
    surface, caveats = fit_surface(*(rows[c].to_numpy() for c in ("params", "tokens", "loss", "run")))
    if surface is None:
        raise InputError(caveats[0] if caveats else "no surface")
    known = np.unique(rows[["params", "flops_per_token"]].to_numpy(float), axis=0)

    def cost(sizes: np.ndarray) -> np.ndarray:
        return np.exp(prolonged(np.log(np.asarray(sizes, float)), np.log(known[:, 0]), np.log(known[:, 1])))

    aim = target or FAR_AHEAD * float(rows["flops"].max())
    ran = (last["params"].to_numpy(float), last["tokens"].to_numpy(float))
    found = next_runs(surface, *ran, budget, aim, cost, sizes=_sizes(described, table, known))
    return Proposal(family, found, tuple(_name(described, table, run.params) for run in found.runs), caveats)


def _counter(described: dict[str, Any]) -> Any:
    from difflaw.planning.forecast import load_forecasts
    from difflaw.planning.recommend import counter

    # Only vocabulary and context matter to a count.
    law = next(iter(load_forecasts("published:gidd").values()))
    return counter(replace(law, vocab_size=described["data"]["vocab_size"], context=described["config"]["context"]))


def _shapes(described: dict[str, Any], table: Table, low: float, high: float) -> dict[float, Shape]:
    count, names = _counter(described), (described["config"]["params"], described["config"]["flops"])
    near = [s for s in allowed_shapes() if low / 3 < 12.0 * s.layers * s.width**2 < 3 * high]
    sized = [counted(s, count, names) for s in near]
    return {s.params: s.shape for s in sized if low * 0.99 <= s.params <= 2 * high}


def _sizes(described: dict[str, Any] | None, table: Table, known: np.ndarray) -> np.ndarray | None:
    """The ladder's own rungs and allowed shapes between and just above; None for a bare table."""
    if described is None:
        return None
    sizes = list(known[:, 0]) + list(_shapes(described, table, known[0, 0], known[-1, 0]))
    return np.unique(np.array(sizes))


def _name(described: dict[str, Any] | None, table: Table, params: float) -> str | None:
    if described is None:
        return None
    for cell in described["cells"].values():
        if abs(cell["params"] - params) < 0.5:
            return f"{cell['depth']}x{cell['width']}"
    shape = _shapes(described, table, params, params).get(params)
    return str(shape) if shape else None
