"""The next cells of a ladder: which sizes and tokens would make its forecast surer, as shapes that can be run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from difflaw.errors import InputError
from difflaw.formatting import flops as in_flops
from difflaw.law.fit import fit_laws
from difflaw.law.table import Table
from difflaw.law.tuning import hyperparameter_fits
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
    """(cells worth ``budget`` FLOPs over the families of a table of runs, why a family has none).

    ``described`` is the description of the ladder that made the table (`ladder.json`), where one did: sizes are then
    shapes that can be run.

    Raises:
        InputError: a family that the table has not, or no family with a law to improve.
    """
    if not (math.isfinite(budget) and budget > 0):
        raise InputError(f"--flops {budget:g}: give a positive number of FLOPs")
    for family in families:
        if family not in table.families:
            raise InputError(f"--family {family}: {table.source} has {', '.join(table.families)}")
    budgets = described["config"]["budgets"] or None if described else None
    fitted = fit_laws(table, budgets=budgets, hyperparameters=hyperparameter_fits(table)[0]).families
    wanted = families or table.families
    laws, reasons = {}, []
    for name in wanted:
        post, given = fitted[name].posterior, fitted[name].answer
        if post is None:
            reasons.append(f"{name}: {given.reason if given is not None else 'no law'}")
        else:
            laws[name] = post
    if not laws:
        raise InputError(f"{table.source}: no family has a law to improve. {reasons[0]}")
    aim = target or FAR_AHEAD * max(post.budgets[1] for post in laws.values())
    sizes = {name: found for name, post in laws.items() if (found := _sizes(described, table, post.sizes)) is not None}
    profiles = {name: fitted[name].profiles for name in laws}
    found = next_runs(laws, budget, aim, sizes=sizes, profiles=profiles)
    if not found:
        raise InputError(
            f"--flops {budget:g}: no run for so much would make the forecast at {in_flops(aim)} surer than the "
            f"{len(table.frame)} rows of {table.source} do"
        )
    reasons += [
        f"{name}: nothing that would tell more than the other families' runs" for name in laws if name not in found
    ]
    out = [
        Proposal(name, runs, tuple(_name(described, table, run.params) for run in runs.runs), fitted[name].warnings)
        for name, runs in found.items()
    ]
    return out, reasons


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
