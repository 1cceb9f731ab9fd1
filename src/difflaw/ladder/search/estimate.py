"""What a search costs on this machine: its first guess of sizes is timed, and spread over all FLOPs."""

from __future__ import annotations

import math
from dataclasses import replace

from difflaw.errors import InputError
from difflaw.ladder.estimate import Estimate, estimate
from difflaw.ladder.plan import Cell, Plan
from difflaw.ladder.search.cells import SearchPlan, cell_for
from difflaw.ladder.search.minima import SPREAD
from difflaw.ladder.search.steps import Ask


def first_cells(plan: SearchPlan) -> list[Cell]:
    """Runs of the sizes about the first guess, to the largest budget planned."""
    cells = []
    for space in plan.spaces:
        budget = space.nominal
        reach = space.reach(budget)
        if reach is None:
            raise InputError(f"search: no size of {space.family} can be run at {space.budgets[budget]:g} FLOPs")
        sizes = {space.nearest(space.guess(budget) + off, reach) for off in (-SPREAD, -SPREAD / 2, 0.0, SPREAD / 2)}
        cells += [cell_for(plan, space, Ask(size, 0, budget)) for size in sorted(sizes)]
    return cells


def estimate_search(plan: SearchPlan, workers: int) -> Estimate:
    """Seconds of the whole search, from a step of each size about the first guess; cells are not known yet."""
    cells = first_cells(plan)
    found = estimate(Plan(plan.config, tuple(cells)), workers)
    per_flop = sum(found.seconds.values()) / math.fsum(cell.flops for cell in cells)
    return replace(found, wall_seconds=per_flop * plan.flops / workers)
